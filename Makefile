# The thin front of the Meson build: `make run`, `make test`, `make bench`, `make format`, `make lint`.
BUILD ?= build
APP ?=

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

deps:
	@tools/install-deps

$(BUILD)/build.ninja: | deps
	meson setup $(BUILD)

# The kernel and capstan are enough to run something: the tests are not built for it.
run: $(BUILD)/build.ninja
	ninja -C $(BUILD) kernel/carrara.elf kernel/carrara.img.lz4 kernel/boot/bios.bin capstan/capstan
	@tools/run-demo $(BUILD) $(APP)

test: all
	@tests/run $(BUILD)

bench: all
	@bench/run $(BUILD)

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

lint: $(BUILD)/build.ninja
	@git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror

clean:
	rm -rf $(BUILD)

.PHONY: all deps run test bench format lint clean
