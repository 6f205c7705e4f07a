"""Names of files: a NUL is refused, and an output that stands for the input, under whatever name."""

import os

import numpy as np
import pytest

import riata

X = np.random.default_rng(0).standard_normal((30, 6))
D = riata.datasets.gaussian_dictionary(6, 9)


def calls():
    net = riata.Network("step", D, 2)
    model = riata.learn_dictionary(X, 9, 0.1, max_iter=1)
    return {
        "save_model": lambda name: riata.save_model(name, model.dictionary),
        "load_model": riata.load_model,
        "Network.save": net.save,
        "load_network": riata.load_network,
        "save_parameters": net.save_parameters,
        "load_parameters": net.load_parameters,
        "encode_stream from": lambda name: riata.encode_stream(name, D, 0.1, output="out.npz"),
        "encode_stream into": lambda name: riata.encode_stream(X, D, 0.1, output=name + ".npz"),
        "learn_dictionary": lambda name: riata.learn_dictionary(X, 9, 0.1, max_iter=1, checkpoint=name),
        "Network.fit": lambda name: riata.Network("step", D, 2).fit(X, 0.1, max_iter=1, checkpoint=name),
    }


@pytest.mark.parametrize("name", calls())
def test_a_nul_in_a_name_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keep").write_bytes(b"mine")
    with pytest.raises(ValueError, match="NUL|null") as refusal:
        calls()[name]("keep\0.new")
    assert "\n" not in str(refusal.value) and "\0" not in str(refusal.value)
    assert os.listdir(tmp_path) == ["keep"] and (tmp_path / "keep").read_bytes() == b"mine"


def test_a_stream_into_its_own_input_is_refused_under_every_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", X)
    os.rename("X.npy", "X.npz")  # what is read by rows may have any name
    before = (tmp_path / "X.npz").read_bytes()
    os.symlink("X.npz", "link.npz")
    os.link("X.npz", "hard.npz")
    os.mkdir("sub")
    for output in ("X.npz", "./X.npz", "sub/../X.npz", str(tmp_path / "X.npz"), "link.npz", "hard.npz"):
        with pytest.raises(ValueError, match="is the input itself"):
            riata.encode_stream("X.npz", D, 0.1, output=output)
        assert (tmp_path / "X.npz").read_bytes() == before
