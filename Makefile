# The verbs of a person at a keyboard; each is a playbook or a tool that can also be run by itself.
INVENTORY ?= inventory/aio
ARGS ?=
DATA ?=
REACH ?=

SHELL := bash
.SHELLFLAGS := -o pipefail -ec
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
PLAY = ansible-playbook -i $(INVENTORY) $(ARGS)
PACKAGES := python3-venv ca-certificates openssh-client
# What the unit tests run for real: a private database, a switch without a kernel, bundles, keys, a browser, libvirt's own driver for tests.
TEST_PACKAGES := git iproute2 mariadb-client mariadb-server-core openssh-client openvswitch-switch squashfs-tools \
                 e2fsprogs xfsprogs chromium chromium-driver libnss3-tools python3-libvirt

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export LC_ALL := C.UTF-8
export INVENTORY

help:  ## what can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

cloud: env  ## a running cloud, from blank machines or from where it is; INVENTORY=inventory/<cloud> for your own
	@$(MAKE) --no-print-directory -j2 prepare-lab prepare-bundle
	@$(PLAY) playbooks/site.yml

verify: env  ## the cloud's own proof: an instance reached by SSH through a floating IP, and nothing left behind
	@$(PLAY) playbooks/verify.yml

tempest: env  ## OpenStack's own tests of a cloud: the smoke tests; ARGS='-e tempest_set=powered' for more
	@$(PLAY) playbooks/verify.yml --tags tempest

destroy: env  ## remove the lab nodes of the cloud
	@$(PLAY) playbooks/destroy.yml

test:  ## everything: lint, unit and module tests, then a real cloud, its proof, Tempest's smoke tests and our own tests of it
	@for step in lint unit cloud verify tempest live; do echo "== $$step"; $(MAKE) --no-print-directory $$step || exit; done

lint: env  ## style, types of files, directions of imports
	@ruff check .
	@yamllint --strict .
	@lint-imports --config setup.cfg
	@ansible-lint -q

# Side by side on all cores, for they wait more than they compute; a file's tests share what the file sets up.
unit: env test-packages  ## the tests that need no cloud
	@pytest -q --numprocesses auto --dist loadfile

live: env  ## the tests of a running cloud
	@pytest -q -m "cloud and not lab"

test-scenarios: env  ## what takes long: lab nodes, first installs, guests, and many kills
	@pytest -q -m lab

conformance: env  ## judge a folder of TOSCA files with an expected.json or Heat counterparts (hot_output); DATA=folder REACH=score ARGS='--mirror ADDRESS=DIRECTORY'
	@test -f "$(DATA)/expected.json" -o -d "$(DATA)/hot_output" || { echo "$(DATA) has neither expected.json nor hot_output"; exit 2; }
	@test ! -f "$(DATA)/expected.json" || python tests/conformance.py "$(DATA)" $(addprefix --reach ,$(REACH)) $(ARGS)
	@test ! -d "$(DATA)/hot_output" || python tests/conformance_hot.py "$(DATA)" $(addprefix --reach ,$(REACH)) $(ARGS)

bench: env  ## measure the speed table of the design
	@python benchmarks/run.py -i $(INVENTORY) $(ARGS)

# Side by side, each line with its origin; a failure of either is the failure of both.
prepare-%:
	@$(PLAY) playbooks/$*.yml 2>&1 | sed -u 's/^/$*: /'

# Installed by Ansible, which keeps the switch from being started where there is systemd.
test-packages: env
	@dpkg-query -W $(TEST_PACKAGES) >/dev/null 2>&1 || ansible -i localhost, -c local -b localhost \
	  -e ansible_python_interpreter=/usr/bin/python3 -m ansible.builtin.apt -a \
	  "name=$$(echo $(TEST_PACKAGES) | tr ' ' ,) install_recommends=false update_cache=true policy_rc_d=101 lock_timeout=900"

env: .venv/.ready

# Debian's own Python, because a lab node runs the same; uv takes over where pip was told to look.
.venv/.ready: requirements.txt setup.cfg
	@dpkg-query -W $(PACKAGES) >/dev/null 2>&1 || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy --no-install-recommends $(PACKAGES); }
	@/usr/bin/python3 -m venv .venv
	@pip install -q --no-deps "$$(grep -o '^uv==[^ ]*' requirements.txt)"
	@index=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$(pip config get global.index-url 2>/dev/null || true)}}; \
	export $${index:+UV_DEFAULT_INDEX="$$index"} VIRTUAL_ENV=.venv; \
	uv pip install -q --require-hashes -r requirements.txt && uv pip install -q --no-deps -e .
	@touch $@

lock: env
	@uv pip compile -q --upgrade setup.cfg --extra controller --extra test --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" -o requirements.txt

.PHONY: help cloud verify tempest destroy test lint unit test-packages live test-scenarios conformance bench env lock
