# The front door. Each target installs what it lacks (Debian packages by name, Python packages into .venv), so that
# `make demo` and `make test` are enough on a bare machine; a second run is quick and needs no network.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

JOBS ?= $(shell nproc)

# Debian's own cmake and python3 where they are: a second one in front on PATH may lack headers or be too old.
# Not := since a target may have to install them first.
CMAKE = $(firstword $(wildcard /usr/bin/cmake) cmake)
CPACK = $(firstword $(wildcard /usr/bin/cpack) cpack)
CTEST = $(firstword $(wildcard /usr/bin/ctest) ctest)
SYSTEM_PYTHON = $(firstword $(wildcard /usr/bin/python3) python3)
PY := .venv/bin/python

BUILD_PACKAGES := g++ cmake ninja-build ca-certificates python3 python3-dev python3-venv libeigen3-dev \
  libopenblas-openmp-dev libfmt-dev nlohmann-json3-dev libpng-dev libjpeg-dev libtiff-dev zlib1g-dev \
  librandom123-dev libcli11-dev libgtest-dev libgmock-dev libhdf5-dev pkgconf
NEED := tools/need_packages.sh
CONFIGURE = @mkdir -p build; $(CMAKE) --preset release > build/configure.log || { cat build/configure.log; exit 1; }

.PHONY: help demo build test test-long test-cpp test-python test-torch test-asan test-tsan fuzz wheel sdist test-wheel bench bench-classics bench-convolution bench-learners bench-networks bench-patterns bench-recordings bench-roofline bench-scaling bench-tv \
  reproduce docs lint format install uninstall deb test-deb clean packages

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: .venv/ready ## a noisy photograph, the cleaned one and the dictionary learned from it, into build/demo
	$(CONFIGURE)
	$(CMAKE) --build --preset release --parallel $(JOBS) --target riata_cli _riata
	$(PY) examples/demo.py

build: .venv/ready ## library, command (build/release/riata), Python extension (.venv/bin/python), tests, examples
	$(CONFIGURE)
	$(CMAKE) --build --preset release --parallel $(JOBS)

test: build ## everything: layering, C++, command, Python, examples, a consumer of the installed package
	$(PY) tools/run_tests.py

test-long: build ## the same at larger sizes: experiments at SIZE=small, 2 000 random problems, 300 kills; half an hour
	$(PY) tools/run_tests.py --long

test-cpp: build ## the C++ tests and examples alone; ARGS="-R name" goes to ctest
	$(CTEST) --preset release --parallel $(JOBS) $(ARGS)

test-python: build ## the tests of the command and of the Python package alone; ARGS="-k name" goes to pytest
	$(PY) -m pytest tests $(ARGS)

test-torch: build bench/.venv/torch ## riata.torch, in bench/.venv where PyTorch is
	bench/.venv/bin/python -m pytest tests/torch $(ARGS)

test-asan: .venv/ready ## C++, command and Python tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(CMAKE) --preset asan
	$(CMAKE) --build --preset asan --parallel $(JOBS)
	$(PY) tools/run_tests.py --sanitizer asan

test-tsan: .venv/ready ## C++ tests under ThreadSanitizer (Clang and its OpenMP runtime)
	@$(NEED) clang libomp-dev libclang-rt-dev
	$(CMAKE) --preset tsan
	$(CMAKE) --build --preset tsan --parallel $(JOBS)
	$(PY) tools/run_tests.py --sanitizer tsan

# make fuzz                                   a million inputs per reader: an hour or two
# make fuzz ARGS="--runs 1000 --reader tiff"  fewer, of one; --from N shows input N again
fuzz: .venv/ready ## mutated files into every reader, under AddressSanitizer and UndefinedBehaviorSanitizer
	$(CONFIGURE)
	$(CMAKE) --build --preset release --parallel $(JOBS) --target riata_fuzz_sanitized
	build/release/riata_fuzz_sanitized $(ARGS)

# make wheel PYTHON=/usr/bin/python3.12                  for that one; from CPython 3.12 on, one for it and all later ones
# make wheel PYTHON="/usr/bin/python3.10 /usr/bin/python3.12"
PYTHON ?= $(or $(strip $(wildcard /usr/bin/python3.10 /usr/bin/python3.11) $(firstword $(wildcard /usr/bin/python3.1[2-9]))),python3)
# CC, CXX: a Python would else bring the names of its own compilers.
wheel: build/packaging/ready ## wheels with all they need inside, into build/wheels, for the Pythons found or PYTHON="python3.10 python3.12"
	for python in $(PYTHON); do \
	  rm -rf build/unrepaired; \
	  CC=$${CC:-cc} CXX=$${CXX:-c++} build/packaging/bin/pip --python "$$python" wheel -q --no-deps -w build/unrepaired .; \
	  PATH="$(CURDIR)/build/packaging/bin:$$PATH" tools/repair_wheel.sh build/unrepaired/*.whl build/wheels; \
	done

test-wheel: wheel ## the wheels, each in a fresh environment of its Python, without a compiler; BESIDE=torch: with PyTorch there
	tools/test_wheel.sh $(PYTHON)

sdist: build/packaging/ready ## the sources as pip builds them, into build/sdist
	build/packaging/bin/python -m build --sdist --outdir build/sdist .

# make bench ARGS=--list                           what there is
# make bench ARGS="--case encode --peer spams"     a part of it
# make bench TORCH=torch==2.12.1 CUDA=yes          another PyTorch; one that brings CUDA only when asked for
TORCH ?= torch==2.13.0
CUDA ?=
INSTALL_PEERS = bench/.venv/bin/python bench/install.py --torch '$(TORCH)' $(if $(CUDA),--cuda)
bench: build bench/.venv/ready ## riata beside its peers: JSON lines, table and plot in bench/results/latest.*
	$(INSTALL_PEERS)
	bench/.venv/bin/python bench/run.py $(ARGS)

bench-roofline: .venv/ready ## how far from the processor's limits: the tables of docs/roofline.md, on this machine
	$(CONFIGURE)
	@$(CMAKE) --build --preset release --parallel $(JOBS) --target riata_roofline > build/roofline.log || { cat build/roofline.log; exit 1; }
	@build/release/bench/roofline

bench-networks: build ## networks with their guards, and the certified coder beside them; ARGS="--kinds step --layers 20"
	$(PY) bench/networks.py $(ARGS)

bench-learners: build bench/.venv/ready ## mini-batches against the clock: recovery and patches; ARGS="--settings 0.1,0.3 --seeds 0 --cap 20"
	$(INSTALL_PEERS)
	bench/.venv/bin/python bench/learners.py $(ARGS)

bench-classics: build bench/.venv/ready ## K-SVD, approximate K-SVD and MOD beside dictlearn's; ARGS="--methods aksvd --rounds 2"
	$(INSTALL_PEERS)
	bench/.venv/bin/python bench/classics.py $(ARGS)

bench-convolution: build bench/.venv/ready ## activations of patterns in a recording, beside alphacsc; ARGS="--n-times 30000 --rounds 3"
	bench/.venv/bin/python -m pip install -q alphacsc==0.4.1
	bench/.venv/bin/python bench/convolution.py $(ARGS)

# alphacsc's updates of known activations stop on later versions of NumPy.
ALPHACSC = bench/.venv/alphacsc/bin/python
bench-patterns: build ## patterns learned from recordings, beside alphacsc; PROGRAM=eeg_patterns is the EEG's, half an hour; ARGS="--seconds 60"
	[ -x $(ALPHACSC) ] || $(SYSTEM_PYTHON) -m venv bench/.venv/alphacsc
	$(ALPHACSC) -m pip install -q alphacsc==0.4.1 mne 'numpy<2.3' scikit-learn
	PYTHONPATH=python $(ALPHACSC) bench/$(or $(PROGRAM),pattern_learning).py $(ARGS)

bench-recordings: build ## recordings of hours: time and memory of learning patterns and of coding; ARGS="--minutes 15 60 --learn-only 300"
	$(PY) bench/long_recordings.py $(ARGS)

bench-tv: build bench/.venv/ready ## the prox of total variation beside proxTV; ARGS="--rounds 5"
	@$(NEED) liblapacke-dev
	bench/.venv/bin/python -m pip install -q prox_tv==3.2.1
	bench/.venv/bin/python bench/total_variation.py $(ARGS)

bench-scaling: build ## time and memory against the number of signals, one thread against two
	$(PY) bench/scaling.py

# make reproduce                               lists the experiments
# make reproduce E=paper/figure SIZE=small     runs one; exits with 0 only if its claim holds; some have SIZE=hour, too
SIZE ?= small
reproduce: $(if $(E),build) ## published figures again: make reproduce lists them, E=paper/figure SIZE=small|hour|paper runs one
ifndef E
	@echo "Experiments (make reproduce E=<paper>/<figure> SIZE=small|hour|paper):"
	@cd experiments && find . -mindepth 3 -maxdepth 3 -name run.py -printf '  %P\n' | sed 's|/run.py||' | sort
else
	@[ -f "experiments/$(E)/run.py" ] || { echo "no experiment $(E): \`make reproduce\` lists what there is" >&2; exit 2; }
	@case "$(SIZE)" in tiny|small|hour|paper) ;; *) echo "SIZE=$(SIZE), must be tiny, small, hour or paper" >&2; exit 2 ;; esac
	$(PY) experiments/$(E)/run.py --size $(SIZE) $(ARGS)
endif

docs: build ## the manual into build/docs: C++ by Doxygen, Python by pdoc
	@$(NEED) doxygen
	@$(PY) -c 'import pdoc' 2>/dev/null || $(PY) -m pip install -q 'pdoc>=14'
	mkdir -p build/docs
	doxygen docs/Doxyfile
	$(PY) -c 'import riata, pdoc.__main__; riata.DictionaryLearning, riata.SparseCoder; pdoc.__main__.cli()' \
	  --docformat numpy --output-directory build/docs/python riata
	@echo "build/docs/cpp/html/index.html  build/docs/python/index.html"

lint: .venv/ready ## layering, and formatting of the C++ sources (nothing is changed)
	@$(NEED) clang-format
	$(PY) tools/check_layering.py
	find src cli python/bindings tests examples -name '*.[ch]pp' | xargs clang-format --dry-run -Werror

format: packages ## formats the C++ sources in place
	@$(NEED) clang-format
	find src cli python/bindings tests examples -name '*.[ch]pp' | xargs clang-format -i

# make install PREFIX=/somewhere: library, headers, CMake package and command.
PREFIX ?= /usr/local
install: .venv/ready ## library, headers, CMake package, pkg-config files and command into PREFIX (/usr/local)
	$(CONFIGURE)
	$(CMAKE) --build --preset release --parallel $(JOBS) --target riata_core riata_cli
	$(CMAKE) --install build/release --prefix "$(PREFIX)"
	mv build/release/install_manifest.txt build/installed.txt

uninstall: ## removes what the last `make install` has put there
	@[ -f build/installed.txt ] || { echo "nothing was installed from here" >&2; exit 2; }
	xargs -a build/installed.txt -d '\n' rm -fv --
	for folder in $$(sed -nE 's|^(.*/riata)/.*|\1|p' build/installed.txt | sort -u); do find "$$folder" -type d -empty -delete; done
	rm build/installed.txt

# Packages of this Debian, for its own Python 3: libriata0.2, libriata-dev, riata, python3-riata.
deb: .venv/ready ## Debian packages into build/deb
	@$(NEED) dpkg-dev file
	@mkdir -p build; $(CMAKE) --preset deb > build/configure.log || { cat build/configure.log; exit 1; }
	$(CMAKE) --build --preset deb --parallel $(JOBS)
	cd build/deb && rm -f *.deb && $(CPACK)

test-deb: deb ## installs them in a bare Debian root (debootstrap), runs command, Python and README's program, removes them
	@$(NEED) debootstrap
	tools/test_deb.sh

clean: ## removes what was built; .venv stays
	rm -rf build python/riata/*.so python/riata/_riata.pyi

# auditwheel and its like.
build/packaging/ready: tools/requirements-packaging.txt | packages
	@mkdir -p build
	[ -x build/packaging/bin/python ] || $(SYSTEM_PYTHON) -m venv build/packaging
	build/packaging/bin/python -m pip install -q -r tools/requirements-packaging.txt
	touch $@

packages:
	@$(NEED) $(BUILD_PACKAGES)

# The environment of the build and the tests. The .pth file shows it the package in python/, where the release preset
# builds the extension: no installation after each change.
.venv/ready: tools/requirements-dev.txt | packages
	@mkdir -p build
	[ -x $(PY) ] || $(SYSTEM_PYTHON) -m venv .venv
	$(PY) -m pip install -q -r tools/requirements-dev.txt
	echo '$(CURDIR)/python' > "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/riata.pth"
	touch $@

# The peers have their own environment, so that the tests never come to depend on them.
bench/.venv/ready: bench/requirements.txt .venv/ready
	[ -x bench/.venv/bin/python ] || $(SYSTEM_PYTHON) -m venv bench/.venv
	bench/.venv/bin/python -m pip install -q -r bench/requirements.txt
	echo '$(CURDIR)/python' > "$$(bench/.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/riata.pth"
	touch $@

bench/.venv/torch: bench/.venv/ready
	bench/.venv/bin/python -m pip install -q pytest
	$(INSTALL_PEERS) torch
	touch $@
