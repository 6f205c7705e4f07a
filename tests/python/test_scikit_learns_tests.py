"""scikit-learn's own tests of its dictionary learning, run on riata's estimators in the place of its own."""

import functools
import importlib.util
from pathlib import Path
from unittest import mock

import pytest

import riata

decomposition = pytest.importorskip("sklearn.decomposition")
SOURCE = Path(decomposition.__file__).parent / "tests" / "test_dict_learning.py"
NAMES = ("DictionaryLearning", "MiniBatchDictionaryLearning", "SparseCoder")

# What states no property of codes or dictionaries, or one of scikit-learn's own choices.
OTHERWISE = {
    "test_dict_learning_online_initialization": "no step, and atoms whose norms are not one",
    "test_minibatch_dictionary_learning_dtype_match": "looks at scikit-learn's private statistics",
    "test_sparse_encoder_feature_number_error": "words",
    "test_cd_work_on_joblib_memmapped_data": "patches joblib inside scikit-learn",
}


# What holds to six decimals where codes are exact while atoms are learned, which is scikit-learn's default and not riata's.
EXACT = ("test_dict_learning_reconstruction", "test_dict_learning_reconstruction_parallel")


def module_with(**classes):
    spec = importlib.util.spec_from_file_location("their_tests_of_dictionary_learning", SOURCE)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.multiple(decomposition, **classes):
        spec.loader.exec_module(module)
    return module


def theirs():
    if not SOURCE.exists():
        return {}
    classes = {name: getattr(riata, name) for name in NAMES}
    module = module_with(**classes)
    exact = module_with(**classes | {"DictionaryLearning": functools.partial(riata.DictionaryLearning, fit_algorithm="cd")})
    source = SOURCE.read_text()
    tests = {}
    for name, test in vars(module).items():
        if not name.startswith("test_") or name in OTHERWISE:
            continue
        body = source.split(f"def {name}(")[1].split("\ndef ")[0]
        if any(word in body for word in NAMES) or name == "test_get_feature_names_out":
            tests[name] = getattr(exact, name) if name in EXACT else test
    return tests


globals().update(theirs())


def test_there_are_some():
    if not SOURCE.exists():
        pytest.skip("this scikit-learn comes without its tests")
    assert sum(name.startswith("test_") for name in globals()) > 20
