# SPDX-License-Identifier: GPL-3.0-or-later
# The commands of this repository; each makes the environment it needs first, and says so.
#
#   make demo          a voice becomes takes on a head: out/demo/   AUDIO=file TEXT="its words" TAKES=8 SEED=1 BLENDER=/path/to/blender
#   make test          everything fast, and one Blender as a Python module
#   make test-all      slow tests too, and every Blender version whose Python is here
#   make test-blenders  the tests in VERSIONS="4.2 5.3"; MARKS="not slow" leaves the slow ones out
#   make test-window   the tests that need a real Blender with a window: BLENDER=/path/to/blender
#   make test-window-slow  the slow ones among them, which the former leaves out
#   make test-cluster  bakes on a Ray cluster of this machine, which loses a node; installs Ray (0.1 GB) into the engine's environment
#   make docs-pictures the pictures of the docs, taken from a real window: BLENDER=/path/to/blender
#   make bench         the tables README quotes, into research/results/ (real lips where THUNDER_DATA is set)
#   make bench-speed   speed beside an earlier commit: research/results/speed.json; some ten minutes on an idle machine of two cores
#   make check-results which results other code or data made than what is here, which figures of pages no result has; measures nothing
#   make results       measures those again, on an idle machine (hours); one that was stopped goes on; THUNDER_DATA, and of training CACHE …
#   make faults        every row of the table of faults, every single call failing, KILLS=200 processes killed: research/results/
#   make fuzz          new input for every parser for MINUTES=10; what goes wrong is written to out/fuzz/
#   make mutations     whether tests notice COUNT=150 changed operators, numbers and arguments of thunder_core, drawn by SEED:
#                      research/results/mutations_SEED.txt; half an hour, and it goes on where it was stopped
#   make train-smoke   every stage of training, a step each, on a corpus made for it (a minute)
#   make retrain       diffusion model, distilled model and mesh-to-speech on new performances of SPEECH="folder …", into TRAINED/weights;
#                      a run that was stopped goes on; CORES=2 trains in that many processes; START=weights goes on from these;
#                      PEOPLE=.05, FOREIGN="folder …": shares of people's lips and of other accents; FILMED=GRID adds GRID's mouths
#                      to what mesh-to-speech learns (docs/training.md)
#   make paper         every system of the paper, with and without the mesh-to-speech loss, trained on SPEECH="folder …" with SEEDS="1 2 3",
#                      and its Table 2: TRAINED/table2.md, .json; hours of a shorter row: docs/paper.md
#   make engine        only the engine's environment, as users have it, without torch
#   make develop       the same with what training and the benches need
#   make lint          ruff's checks and layout of every Python file, and types by mypy
#   make locks         requirements/*.txt from requirements/*.in (needs uv)
#   make licences      docs/reference/licences.md: the licences of everything a user installs
#   make languages     out/languages: what there is to translate, and each language's file with what is new, without what is gone
#   make weight        what the repository weighs: statements, modules, imports, numbers, words, beside the last two releases, and what grew
#   make package       out/packages/thunder-VERSION-PLATFORM.zip, what Blender installs; PLATFORMS="linux-x64 …", else this machine's
#   make packages      the same for every platform
#   make repository    out/packages/index.json, for Blender to install and update from
#   make clean         removes out/ and the environments
#
# A BLENDER that is a wrapper around a root of its own gets told in BLENDER_BIND which folders it must see.
# Tests read THUNDER_DATA (a folder of recordings) and BLENDER; what is unset is skipped, with the reason. CI allows no other
# reason (.ci/skipped). Where the machine has no ffmpeg, tests use one of requirements/test.txt.

AUDIO ?=
TEXT ?=
TAKES ?= 8
SEED ?= 1
MARKS ?=
ALSO ?=
MINUTES ?= 10
SPEECH ?=
TRAINED ?= out/trained
CORES ?=
PLATFORMS ?=
START ?=
PEOPLE ?=
FOREIGN ?=
FILMED ?=
DENOISER_STEPS ?= $(if $(START),13000,4200)
M2S_STEPS ?= $(if $(START),1600,4000)
DISTIL_STEPS ?= $(if $(START),500,1200)
TAKE_LINES ?= 1500
TOGETHER_STEPS ?= 1000
SEEDS ?= 1 2 3
KILLS ?= 200
COUNT ?= 150
VERSIONS ?= $(shell setup/python.sh environment.py versions 2>/dev/null)

WITH_ENGINE = engine=$$(setup/python.sh environment.py engine) && export THUNDER_PYTHON="$$engine"
WITH_CARD = engine=$$(setup/python.sh environment.py engine --card) && export THUNDER_PYTHON="$$engine"
WITH_DEVELOP = engine=$$(setup/python.sh environment.py engine --develop) && export THUNDER_PYTHON="$$engine"
WITH_TESTED_ENGINE = engine=$$(setup/python.sh environment.py engine --tests) && setup/python.sh environment.py tracker >/dev/null && export THUNDER_PYTHON="$$engine"

.PHONY: demo check-results results faults fuzz mutations test test-all test-core test-core-engine test-core-around test-core-all test-core-slow test-blender test-blender-once test-blender-each test-blender-slow test-blenders test-blender-oldest test-window test-window-slow test-cluster docs-pictures bench bench-speed train-smoke retrain paper engine develop package packages repository lint licences locks languages clean weight

# What a demonstration writes. Both environments are made at once.
DEMO = --fps 25 --pack --outputs blend,npz,video,speech,sheet
demo:
	@{ [ -n "$(BLENDER)" ] || setup/python.sh environment.py blender >/dev/null; } & $(WITH_ENGINE) && wait && \
	set -- --audio "$(or $(AUDIO),assets/sample.wav)" --takes "$(TAKES)" --seed "$(SEED)" $(DEMO) --out out/demo \
		$(if $(AUDIO)$(TEXT),$(if $(TEXT),--transcript "$(TEXT)"),--transcript "$$("$$engine" -c 'from thunder_core.shipped import SAMPLE_TEXT; print(SAMPLE_TEXT)')") && \
	if [ -n "$(BLENDER)" ]; then \
		BLENDER_BIND="$$("$$engine" -c 'import sys; print(sys.base_prefix)') $$BLENDER_BIND"; export BLENDER_BIND; \
		"$(BLENDER)" -b --factory-startup --python-exit-code 1 --python bake.py -- "$$@"; \
	else \
		blender=$$(setup/python.sh environment.py blender) && "$$blender" bake.py -- "$$@"; \
	fi

# Two at a time, the longest first, so that both end together: each keeps about one core busy. What one says appears when it has
# ended.
test:
	@$(WITH_TESTED_ENGINE) && setup/python.sh environment.py blender >/dev/null
	@echo "testing the engine and a Blender side by side: some minutes"
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-core-engine test-blender-once $(ALSO) test-blender-each test-core-around

test-all: test-core-all test-blenders

# What needs no Blender; tests/core alone, and what lies around it.
test-core: PLACE = tests
test-core-engine: PLACE = tests/core
test-core-around: PLACE = tests --ignore=tests/core
test-core test-core-engine test-core-around:
	@$(WITH_TESTED_ENGINE) && "$$engine" -m pytest $(PLACE) --ignore=tests/blender --ignore=tests/gui -m "not slow"

test-core-all:
	@$(WITH_TESTED_ENGINE) && "$$engine" -m pytest tests --ignore=tests/blender --ignore=tests/gui

test-core-slow:
	@$(WITH_TESTED_ENGINE) && "$$engine" -m pytest tests --ignore=tests/blender --ignore=tests/gui -m slow

# What does not differ between Blender's versions, and what may.
test-blender-once: PART = and one_blender
test-blender-each: PART = and not one_blender
test-blender test-blender-once test-blender-each:
	@$(WITH_TESTED_ENGINE) && blender=$$(setup/python.sh environment.py blender) && \
	"$$blender" -m pytest tests/blender -m "not slow $(PART)"

test-blender-slow:
	@$(WITH_TESTED_ENGINE) && blender=$$(setup/python.sh environment.py blender) && \
	"$$blender" -m pytest tests/blender -m slow

# Two versions at a time: each keeps about one core busy. What a version says appears when it has ended.
test-blenders:
	@$(WITH_TESTED_ENGINE) && setup/python.sh environment.py versions >/dev/null && mkdir -p out && \
	echo "testing Blender $(VERSIONS), two at a time" && printf '%s\n' $(VERSIONS) | xargs -P 2 -I {} sh -c \
		'log=out/test-blender-{}.log; echo "== Blender {} ==" >$$log; { blender=$$(setup/python.sh environment.py blender {}) && \
		"$$blender" -m pytest tests/blender -m "$(MARKS)"; } >>$$log 2>&1; code=$$?; cat $$log; exit $$code'

# What may differ in the oldest Blender.
test-blender-oldest:
	@$(MAKE) --no-print-directory test-blenders MARKS="not slow and not one_blender" \
		VERSIONS="$$(setup/python.sh environment.py versions 2>/dev/null | tr ' ' '\n' | grep . | sort -V | head -n 1)"

test-window:
	@$(WITH_TESTED_ENGINE) && "$$engine" -m pytest tests/gui -m "not slow"

test-window-slow:
	@$(WITH_TESTED_ENGINE) && "$$engine" -m pytest tests/gui -m slow

test-cluster:
	@engine=$$(setup/python.sh environment.py engine --cluster) && export THUNDER_PYTHON="$$engine" && \
	blender=$$(setup/python.sh environment.py blender) && "$$blender" -m pytest tests/blender/test_cluster.py

docs-pictures:
	@$(WITH_TESTED_ENGINE) && "$$engine" -m research pictures

bench:
	@$(WITH_DEVELOP); \
	if [ -n "$$THUNDER_DATA" ]; then \
	  for name in ranking lips articulation habits listeners; do "$$engine" -m research $$name || exit 1; done; \
	else echo "real lips are left out: THUNDER_DATA names no folder of recordings"; fi

bench-speed:
	@$(WITH_DEVELOP) && "$$engine" -m research speed

check-results:
	@python3 -m research check_results

results:
	@$(WITH_DEVELOP) && "$$engine" -m research check_results --measure

fuzz:
	@$(WITH_TESTED_ENGINE) && "$$engine" tests/faults/fuzz.py "$(MINUTES)"

faults:
	@$(WITH_TESTED_ENGINE) && BPY_PYTHON=$$(setup/python.sh environment.py blender) && export BPY_PYTHON && \
	"$$engine" -m research faults --kills $(KILLS)

mutations:
	@$(WITH_TESTED_ENGINE) && "$$engine" -m research mutations --seed $(SEED) --count $(COUNT)

train-smoke:
	@$(WITH_TESTED_ENGINE) && "$$engine" -m pytest tests/core/test_train.py

# Performances of SPEECH, in TRAINED; what is made once is told by the files it leaves, animate and the networks go on where they
# were stopped by themselves.
define PERFORM_SPEECH
{ [ -z "$(SPEECH)" ] || [ ! -e "$(TRAINED)/speech" ] || [ "$(SPEECH)" = "$$(cat "$(TRAINED)/speech")" ] || \
	{ echo '$(TRAINED) was begun with other recordings: name another folder, TRAINED=…, or remove it'; exit 1; }; } && $(WITH_DEVELOP) && mkdir -p "$(TRAINED)/weights" && for name in encoder speaker units vocoder; do \
		for kind in json safetensors; do [ -e "$(TRAINED)/weights/$$name.$$kind" ] || cp weights/$$name.$$kind "$(TRAINED)/weights/"; done; done && \
	cp weights/head.npz "$(TRAINED)/weights/" && \
	stage() { "$$engine" $$launch research train $$threads --cache "$(TRAINED)/cache" --runs "$(TRAINED)/runs" \
		--weights "$(TRAINED)/weights" "$$@"; } && launch=-m threads= && \
	{ [ -e "$(TRAINED)/cache/corpus/clips.json" ] || { [ -n "$(SPEECH)" ] || { echo 'Name folders of recordings: make $@ SPEECH="folder …"'; exit 1; }; \
		stage corpus $(SPEECH) && echo "$(SPEECH)" >"$(TRAINED)/speech"; }; } && \
	{ [ -e "$(TRAINED)/cache/motions/rows.json" ] || stage hear --same-units; } && stage animate
endef

# Mesh-to-speech comes last: nothing waits for it.
BY_CORES = launch="-m torch.distributed.run --nproc-per-node $(CORES) -m --" threads="--threads 1"
# Of the 48 crops of a step each process draws its part.
DENOISER_WITH = $(if $(CORES),--batch $$((48 / $(CORES)))) $(if $(START),--start $(START) --rate 6e-4) $(if $(PEOPLE),--people $(PEOPLE)) $(if $(FOREIGN),--foreign $(FOREIGN))
M2S_WITH = --takes .5 $(if $(START),--start $(START) --rate 3e-4) $(if $(PEOPLE),--people .2)
TAKES_WITH = $(if $(FILMED),--filmed $(FILMED))
retrain:
	@$(PERFORM_SPEECH) && by_cores() { [ -z "$(CORES)" ] || $(BY_CORES); } && alone() { launch=-m threads=; } && \
	by_cores && stage denoiser $(DENOISER_WITH) --steps $(DENOISER_STEPS) && \
	alone && stage distil --steps $(DISTIL_STEPS) && stage takes $(TAKES_WITH) --lines $(TAKE_LINES) && \
	by_cores && stage m2s $(M2S_WITH) --steps $(M2S_STEPS) && \
	alone && stage graphs && "$$engine" -m research train --weights "$(TRAINED)/weights" card

paper:
	@$(PERFORM_SPEECH) && stage m2s --steps $(M2S_STEPS) && \
	learn() { "$$engine" -m research train --cache "$(TRAINED)/cache" --runs "$(TRAINED)/runs" --weights "$(TRAINED)/weights" "$$@"; } && \
	learn space face --steps $(M2S_STEPS) && learn space exp --steps $(M2S_STEPS) && learn paper --seeds $(SEEDS) --steps $(DENOISER_STEPS) --together-steps $(TOGETHER_STEPS) && \
	"$$engine" -m research paper --runs "$(TRAINED)/runs" --cache "$(TRAINED)/cache" --results "$(TRAINED)" --docs "$(TRAINED)/table2.md"

engine:
	@setup/python.sh environment.py engine

develop:
	@setup/python.sh environment.py engine --develop

lint:
	@engine=$$(setup/python.sh environment.py engine --tests) && "$$engine" -m ruff check . && "$$engine" -m ruff format --check . && \
	mkdir -p out/types && ln -sfn ../.. out/types/thunder && "$$engine" -m mypy

licences:
	@$(WITH_CARD) && "$$engine" setup/licences.py

languages:
	@$(WITH_ENGINE) && "$$engine" setup/languages.py out/languages

locks:
	@$(WITH_ENGINE) && "$$engine" -m research lock

weight:
	@$(WITH_ENGINE) && "$$engine" -m research weight

package:
	@setup/python.sh package.py --platforms "$(PLATFORMS)"

packages:
	@setup/python.sh package.py --all

repository:
	@setup/python.sh package.py --repository

clean:
	rm -rf out .venv .pytest_cache .import_linter_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
