# make            libraries into build/lib, headers into include
# make run        a stock memcached on our library
# make check      every test; FILTER=http runs a folder of C tests, FILTER=http/limits a program
# make check-long the C tests under valgrind and the sanitizers, long forms, a soak, and fuzzing
# make bench      the reference, ours and other libraries against each other, and README's table of it;
#                 BENCH=name runs a part, as patterns
# make install    PREFIX=/usr/local LIBDIR=PREFIX/lib DESTDIR=
# make docs       the reference of the headers into build/docs/html
# make deb        Debian packages into build/deb
# make sbom       what is in the libraries from elsewhere, as build/libevent-rs.spdx.json
# make uninstall, make clean

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
CC ?= gcc

BUILD := build
LIB := $(BUILD)/lib
export CARGO_TARGET_DIR := $(CURDIR)/target
ARCHIVE := target/release/liblibevent_rs.a
TLS_ARCHIVE = $(dir $(ARCHIVE))liblibevent_rs_openssl.a
VERSION := 2.1.so.7
STRIP := -Wl,-s
# One real library. The others of the family carry their names for programs that ask for them.
MAIN := libevent
FAMILY := libevent_core libevent_extra libevent_pthreads
# Another one, on the real one and on OpenSSL, where that can be compiled against.
TLS := $(if $(shell pkg-config --exists 'libssl >= 3' 2>/dev/null && echo yes),libevent_openssl)
ALL := $(MAIN) $(FAMILY) $(TLS)

SONAMES := $(ALL:%=%-$(VERSION))
LINKS := $(ALL:%=%.so)
STATIC := $(ALL:%=%.a)
PC := $(ALL:%=pkgconfig/%.pc)

# Of the distribution: what builds the libraries, and what the tests need besides.
PACKAGES := binutils gcc libc6-dev libssl-dev pkg-config python3
# The reference has to have the security fixes of 2.1.13, without which some tests fail on it.
REFERENCE := 'libevent-dev>=2.1.12-stable-8+deb12u1'
TEST_PACKAGES := abigail-tools debhelper doxygen g++ groff-base lintian $(REFERENCE) strace
# The stock programs that run on our library, their clients, and what they need around them.
PROGRAM_PACKAGES := \
	apache2-utils \
	bind9-dnsutils \
	bitlbee \
	coturn \
	curl \
	dnsmasq-base \
	dnsproxy \
	fstrm-bin \
	gearman-job-server \
	gearman-tools \
	gnutls-bin \
	groonga-bin \
	groonga-plugin-suggest \
	iproute2 \
	kamailio \
	kamailio-extra-modules \
	knot-dnsutils \
	libevhtp-dev \
	libmemcached-tools \
	libradsec-dev \
	links2 \
	litecoind \
	lldpd \
	lua-event \
	lua5.4 \
	memcached \
	nginx-light \
	nsd \
	ocproxy \
	openbgpd \
	opencu \
	openbsd-inetd \
	openmpi-bin \
	openssl \
	pgbouncer \
	php8.2-cli \
	php8.2-http \
	php8.2-raphf \
	poolcounter \
	postgresql \
	python3-unbound \
	redis-server \
	redsocks \
	remctl-server \
	scanssh \
	socat \
	sslsplit \
	tcpbench \
	tmate \
	tmux \
	tor \
	transmission-cli \
	transmission-daemon \
	unbound \
	unbound-host \
	ustreamer \
	webdis \
	wrk

.PHONY: all shared libraries headers run check check-long with-address with-thread bench sbom tables \
	tree install uninstall docs deb clean FORCE
all: libraries headers
shared: $(addprefix $(LIB)/,$(SONAMES))
libraries: shared $(addprefix $(LIB)/,$(LINKS) $(STATIC) $(PC))
	@$(if $(TLS),,echo 'libevent_openssl is left out: there is no OpenSSL 3 to compile against (libssl-dev)')

# Cargo knows whether there is anything to do; make looks at the archives' time afterwards.
$(ARCHIVE) $(TLS_ARCHIVE) &: FORCE
	cargo build --release $(if $(TLS),--workspace)

# Exported is what the real library exports and the archive defines.
$(BUILD)/exported: $(ARCHIVE)
$(BUILD)/exported_openssl: $(TLS_ARCHIVE)
$(BUILD)/exported $(BUILD)/exported_openssl: abi/exports.txt
	@mkdir -p $(LIB)/pkgconfig
	@nm -g --defined-only $(filter %.a,$^) 2>/dev/null | awk 'NF == 3 { print $$3 }' | sort -u > $@.defined
	@awk '!/^#/ && NF { print $$1 }' abi/exports.txt | sort -u | comm -12 - $@.defined > $@

$(BUILD)/unwinder.o: packaging/unwinder.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -fPIC -fexceptions -Wall -Wextra -Werror -c $< -o $@

# $(call link,archive,exported names,what else it is linked with) makes a shared library of an archive.
define link
@{ echo '{ global:'; sed 's/$$/;/' $(2); echo 'local: *; };'; } > $(2).map
ld -r -o $(2).o -T packaging/order.ld $$(sed 's/^/-u /' $(2)) $(1)
$(CC) -shared -o $@ $(BUILD)/unwinder.o $(2).o \
  -Wl,-soname,$(@F) -Wl,--version-script=$(2).map -Wl,--gc-sections \
  -Wl,-Bsymbolic-functions -Wl,-z,relro,-z,now -Wl,--as-needed $(3) -static-libgcc $(STRIP)
endef

$(LIB)/$(MAIN)-$(VERSION): $(BUILD)/exported $(BUILD)/unwinder.o packaging/order.ld
	$(call link,$(ARCHIVE),$<)

# It finds the real one beside itself.
$(LIB)/libevent_openssl-$(VERSION): $(BUILD)/exported_openssl $(BUILD)/unwinder.o packaging/order.ld $(LIB)/$(MAIN)-$(VERSION)
	$(call link,$(TLS_ARCHIVE),$<,$(LIB)/$(MAIN)-$(VERSION) -lssl -lcrypto -Wl$(comma)-rpath$(comma)'$$ORIGIN')
comma := ,

# These only need the real one, so a process never holds two copies of the code or the state. It is
# the one beside them, wherever the folder is: a program's run path is not asked for what they need.
# They have no code to say that it needs no executable stack, so the linker says it.
$(LIB)/libevent_%-$(VERSION): $(LIB)/$(MAIN)-$(VERSION) Makefile
	$(CC) -shared -nostdlib -o $@ -Wl,-soname,$(@F) -Wl,-z,noexecstack -Wl,-rpath,'$$ORIGIN' \
	  -Wl,--enable-new-dtags -Wl,--no-as-needed $< $(STRIP)

# A link editor takes no symbols from the libraries that a library needs, so every -levent_NAME
# finds the real one.
$(LIB)/%.so: $(LIB)/$(MAIN)-$(VERSION)
	ln -sf $(<F) $@
$(LIB)/libevent_openssl.so: $(LIB)/libevent_openssl-$(VERSION)
	ln -sf $(<F) $@

# One object in which all but the exported names are local: it can stand beside other Rust
# archives. It is the same archive for all names; the first one on a link line provides it all.
$(LIB)/$(MAIN).a: $(BUILD)/exported $(ARCHIVE)
$(LIB)/libevent_openssl.a: $(BUILD)/exported_openssl $(TLS_ARCHIVE)
$(LIB)/$(MAIN).a $(LIB)/libevent_openssl.a:
	@rm -f $@
	ld -r -o $(BUILD)/$(*F).o --gc-sections $$(sed 's/^/-u /' $<) $(filter %.a,$^)
	objcopy --keep-global-symbols=$< --strip-debug $(BUILD)/$(*F).o
	ar rcs $@ $(BUILD)/$(*F).o
$(FAMILY:%=$(LIB)/%.a): $(LIB)/$(MAIN).a
	ln -sf $(<F) $@

# $(call pc,name,prefix,libdir,includedir) is the text of one pkg-config file.
pc = sed -e 's|@NAME@|$(1)|' -e 's|@LINK@|$(1:lib%=%)|' -e 's|@PREFIX@|$(2)|' -e 's|@LIBDIR@|$(3)|' \
	-e 's|@INCLUDEDIR@|$(4)|' -e 's|@DESCRIPTION@|$(DESCRIPTION_$(1))|' \
	-e 's|@REQUIRES@|$(REQUIRES_$(1))|' -e 's|@PRIVATE@|$(PRIVATE_$(1))|' packaging/libevent.pc.in
DESCRIPTION_libevent := Event loop, buffers and protocols
DESCRIPTION_libevent_core := Event loop and buffers
DESCRIPTION_libevent_extra := Protocols on the event loop
DESCRIPTION_libevent_pthreads := POSIX threads for the event loop
REQUIRES_libevent_pthreads := libevent
DESCRIPTION_libevent_openssl := TLS by OpenSSL for the event loop
REQUIRES_libevent_openssl := libevent
PRIVATE_libevent_openssl := openssl

$(LIB)/pkgconfig/%.pc: packaging/libevent.pc.in Makefile $(BUILD)/exported
	@$(call pc,$*,$(CURDIR),$(CURDIR)/$(LIB),$(CURDIR)/include) > $@

# The build has written the headers beside the archive; the ones in include are committed.
headers: $(ARCHIVE)
	@cd target/release/include && for header in $$(find * -name '*.h'); do \
	  cmp -s $$header $(CURDIR)/include/$$header || install -D -m 644 $$header $(CURDIR)/include/$$header; \
	done

run:
	scripts/install-packages $(PACKAGES) memcached
	@$(MAKE) --no-print-directory all
	python3 ctests/programs/memcached.py path

check:
	scripts/install-packages $(PACKAGES) $(TEST_PACKAGES)
	scripts/install-packages $(PROGRAM_PACKAGES) || \
	  for package in $(PROGRAM_PACKAGES); do scripts/install-packages $$package || true; done
	@$(MAKE) --no-print-directory libraries
	scripts/check $(FILTER)

check-long:
	scripts/install-packages $(PACKAGES) $(TEST_PACKAGES) memcached valgrind clang libclang-rt-dev mmdebstrap
	@$(MAKE) --no-print-directory libraries with-address with-thread
	scripts/check-long $(FILTER)

# The library under a sanitizer, in build/address or build/thread. Cargo gives the sanitizers only
# when it may use unstable options, and the standard library comes without them.
HOST := x86_64-unknown-linux-gnu
with-address with-thread: with-%:
	@RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=$* -Cunsafe-allow-abi-mismatch=sanitizer' \
	  CARGO_PROFILE_RELEASE_DEBUG=line-tables-only CARGO_BUILD_TARGET=$(HOST) \
	  $(MAKE) --no-print-directory shared BUILD=build/$* CARGO_TARGET_DIR=$(CURDIR)/build/$*/target \
	  ARCHIVE=build/$*/target/$(HOST)/release/liblibevent_rs.a STRIP=

# Each program against the reference; loops: one work on libevent, libev, libuv and bare epoll; and
# what is exact on a busy machine: instructions and system calls.
BENCHES := $(filter-out $(if $(TLS),,tls_%),$(basename $(notdir $(wildcard bench/*.c)))) loops http instructions syscalls patterns growth programs
LOOPS := $(addprefix $(BUILD)/bench/loops/,libevent libev libuv epoll)
HTTP_SERVERS := $(addprefix $(BUILD)/bench/http/,evhttp microhttpd nginx bare)
bench: libraries
	scripts/install-packages gcc $(REFERENCE) libc-ares-dev libev-dev libmicrohttpd-dev libssl-dev libuv1-dev nginx-light python3 \
	  strace valgrind
	@$(MAKE) --no-print-directory -j1 $(addprefix bench-,$(or $(BENCH),$(BENCHES)))
	bench/report $(if $(BENCH),,--readme)

$(BUILD)/bench/%: bench/%.c $(wildcard bench/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -I$(@D) $< -o $@ -levent -levent_pthreads -lpthread

$(BUILD)/bench/rpc: $(BUILD)/bench/rpc.gen.c
$(BUILD)/bench/%.gen.c: bench/%.rpc rpcgen/event_rpcgen.py
	@mkdir -p $(@D)
	rpcgen/event_rpcgen.py --quiet $< $@

$(BUILD)/bench/tls_streams: bench/tls_streams.c $(wildcard bench/*.h bench/tls/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra $< -o $@ -levent_openssl -levent -lssl -lcrypto
$(BUILD)/bench/tls/bare: bench/tls/bare.c $(wildcard bench/*.h bench/tls/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra $< -o $@ -lssl -lcrypto

$(BUILD)/bench/look_ups/%: bench/look_ups/%.c $(wildcard bench/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra $< -o $@ $(LINK_$*)
LINK_cares := -lcares

$(BUILD)/bench/loops/%: bench/loops/work.c bench/loops/%.c bench/loops/work.h $(wildcard bench/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra $(filter %.c,$^) -o $@ $(LINK_$*) -lpthread
LINK_libevent := -levent
LINK_libev := -lev
LINK_libuv := -luv

$(BUILD)/bench/http/%: bench/http/load.c bench/http/%.c bench/http/load.h bench/bench.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra $(filter %.c,$^) -o $@ $(LINK_$*)
LINK_evhttp := -levent
LINK_microhttpd := -lmicrohttpd
.PRECIOUS: $(BUILD)/bench/% $(BUILD)/bench/loops/% $(BUILD)/bench/http/% $(BUILD)/bench/look_ups/%

# Those with a client and a server.
TWO_ENDED := bufferevent_streams rpc
bench-%: $(BUILD)/bench/%
	bench/run $(if $(filter $*,$(TWO_ENDED)),--one-processor) $<
bench-tls_streams: $(BUILD)/bench/tls_streams $(BUILD)/bench/tls/bare
	bench/run --one-processor --against $(BUILD)/bench/tls/bare $<
	bench/syscalls $<
bench-dns: $(BUILD)/bench/dns $(BUILD)/bench/look_ups/cares $(BUILD)/bench/look_ups/bare
	bench/run --one-processor $(patsubst %,--against %,$(filter-out $<,$^)) $<
bench-loops: $(LOOPS)
	bench/run --rounds 9 $(patsubst %,--against %,$(filter-out %/libevent,$^)) $(BUILD)/bench/loops/libevent
bench-http: $(HTTP_SERVERS)
	bench/run --one-processor --rounds 5 $(patsubst %,--against %,$(filter-out %/evhttp,$^)) $(BUILD)/bench/http/evhttp
PATTERNS := $(filter-out $(if $(TLS),,%/tls.c),$(wildcard bench/patterns/*.c))
$(BUILD)/bench/patterns: $(PATTERNS) bench/patterns/patterns.h bench/counted_heap.h bench/rpc_message.h $(BUILD)/bench/rpc.gen.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -I$(@D) $(PATTERNS) -o $@ $(if $(TLS),-levent_openssl -lssl -lcrypto) -levent -levent_pthreads -lpthread
bench-patterns: $(BUILD)/bench/patterns
	bench/patterns/run $<
bench-growth: $(BUILD)/bench/patterns
	bench/growth $<
bench-programs:
	scripts/install-packages memcached pgbouncer postgresql tmux unbound || true
	bench/programs
bench-instructions: $(BUILD)/bench/loop_events $(BUILD)/bench/timers
	bench/instructions $^
bench-syscalls: $(BUILD)/bench/bufferevent_streams $(BUILD)/bench/http/evhttp
	bench/syscalls $^

# What is in the libraries from elsewhere, in SPDX form.
sbom:
	@command -v cargo-sbom >/dev/null || { echo "Installing from the registry: cargo-sbom"; cargo install --locked cargo-sbom; }
	@mkdir -p $(BUILD)
	cargo sbom --output-format spdx_json_2_3 > $(BUILD)/libevent-rs.spdx.json

# MATRIX.md, docs/differences.md and the parts of README.md that say what is implemented and tested.
tables: libraries
	abi/tables

# What is installed, below TREE as it will be below /.
TREE := $(BUILD)/tree
tree: all
	rm -rf $(TREE)
	install -d $(addprefix $(TREE),$(LIBDIR)/pkgconfig $(INCLUDEDIR)/event2 $(BINDIR) $(MANDIR)/man1 $(MANDIR)/man7)
	install -m 644 $(SONAMES:%=$(LIB)/%) $(LIB)/$(MAIN).a $(TLS:%=$(LIB)/%.a) $(TREE)$(LIBDIR)
	cp -d $(LINKS:%=$(LIB)/%) $(TREE)$(LIBDIR)
	for link in $(FAMILY:%=%.a); do ln -sf $(MAIN).a $(TREE)$(LIBDIR)/$$link; done
	$(foreach name,$(ALL),$(call pc,$(name),$(PREFIX),$(LIBDIR),$(INCLUDEDIR)) > $(TREE)$(LIBDIR)/pkgconfig/$(name).pc;)
	install -m 644 include/*.h $(TREE)$(INCLUDEDIR)
	install -m 644 include/event2/*.h $(TREE)$(INCLUDEDIR)/event2
	sed 's|^installed=.*|installed=$(LIBDIR)|' with-libevent-rs > $(TREE)$(BINDIR)/with-libevent-rs
	chmod 755 $(TREE)$(BINDIR)/with-libevent-rs
	install -m 755 rpcgen/event_rpcgen.py $(TREE)$(BINDIR)
	install -m 644 docs/man/*.1 $(TREE)$(MANDIR)/man1
	install -m 644 docs/man/*.7 $(TREE)$(MANDIR)/man7

# What was installed, so that nothing else is overwritten or removed.
INSTALLED := $(PREFIX)/share/libevent-rs/installed
install:
	$(if $(word 6,x $(PREFIX) $(LIBDIR) $(INCLUDEDIR) $(BINDIR)),$(error PREFIX and the other directories cannot have blanks))
	@scripts/install-tree may-install '$(DESTDIR)' $(PREFIX) $(LIBDIR) $(INCLUDEDIR) $(BINDIR)
	@$(MAKE) --no-print-directory tree
	@scripts/install-tree install $(TREE) '$(DESTDIR)' $(INSTALLED)

uninstall:
	@scripts/install-tree uninstall '$(DESTDIR)' $(INSTALLED)

# The reference of the headers and the examples, as a site in build/docs/html. Warnings are errors.
docs:
	scripts/install-packages doxygen
	rm -rf $(BUILD)/docs
	mkdir -p $(BUILD)/docs
	doxygen docs/reference/Doxyfile

# The Debian packages, in build/deb.
DEB := $(BUILD)/deb
DEB_LIBDIR = /usr/lib/$(shell dpkg-architecture -qDEB_HOST_MULTIARCH)
deb:
	scripts/install-packages $(PACKAGES) debhelper
	rm -rf $(DEB)
	@$(MAKE) --no-print-directory tree TREE=$(DEB)/tree PREFIX=/usr LIBDIR=$(DEB_LIBDIR)
	install -d $(DEB)/source
	cp -r packaging/debian $(DEB)/source
	@$(MAKE) --no-print-directory docs
	cp -r README.md CHANGELOG.md docs/*.md $(BUILD)/docs/html examples $(DEB)/source
	cd $(DEB)/source && TREE=$(CURDIR)/$(DEB)/tree dpkg-buildpackage --build=binary --no-sign --no-check-builddeps

clean:
	rm -rf $(BUILD)
	cargo clean
