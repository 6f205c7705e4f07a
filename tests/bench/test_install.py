"""What does not install is told in pip's words; what brings CUDA is recognised before it comes."""

from subprocess import CompletedProcess

from install import complaint, cuda_packages


def test_a_cuda_runtime_is_recognised():
    names = ["torch", "nvidia-cublas", "cuda-bindings", "sympy"]
    assert cuda_packages({"install": [{"metadata": {"name": name}} for name in names]}) == ["nvidia-cublas", "cuda-bindings"]
    assert cuda_packages({"install": [{"metadata": {"name": "torch"}}]}) == []


def test_the_reason_is_pips_first_error():
    said = "WARNING: nothing\nERROR: No matching distribution found for x\nERROR: more\n"
    assert complaint(CompletedProcess([], 1, stderr=said)) == "ERROR: No matching distribution found for x"
    assert complaint(CompletedProcess([], 7, stderr="")) == "pip ended with 7"
