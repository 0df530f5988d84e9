#!/bin/sh
# Installs what the integration tests start (Dovecot, Postfix, Exim, PostgreSQL; OpenSSL and Bouncy Castle as the other
# party of S/MIME; strace, a C compiler and ext4 for the fault suite; Chromium for the console's pages) where root and
# apt-get are at hand; elsewhere says which tests will be skipped. No service is started: the tests start their own.
# Debian allows one mail server, so that Exim's program is unpacked beside Postfix.
set -eu
PATH=$PATH:/usr/sbin:/usr/local/sbin

postgres_here() {
    command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

dovecot_here() {
    command -v dovecot >/dev/null 2>&1 &&
        { [ -x /usr/lib/dovecot/pop3 ] || [ -x /usr/libexec/dovecot/pop3 ]; } &&
        { [ -x /usr/lib/dovecot/imap ] || [ -x /usr/libexec/dovecot/imap ]; } &&
        { [ -x /usr/lib/dovecot/lmtp ] || [ -x /usr/libexec/dovecot/lmtp ]; }
}

missing=
dovecot_here || missing="$missing dovecot-pop3d dovecot-imapd dovecot-lmtpd"
command -v postfix >/dev/null 2>&1 || missing="$missing postfix"
postgres_here || missing="$missing postgresql"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
command -v strace >/dev/null 2>&1 || missing="$missing strace"
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v mkfs.ext4 >/dev/null 2>&1 || missing="$missing e2fsprogs"
command -v javac >/dev/null 2>&1 || missing="$missing default-jdk-headless"
[ -e /usr/share/java/bcmail.jar ] || missing="$missing libbcmail-java"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium fonts-dejavu-core"
exim=/usr/local/lib/exim4-beside/exim4
exim_missing=
command -v exim4 >/dev/null 2>&1 || [ -x "$exim" ] || exim_missing=" exim4-daemon-light"
[ -n "$missing$exim_missing" ] || exit 0

give_up() {
    echo "The tests that need these Debian packages will be skipped:$missing$exim_missing"
    echo "  why: $1"
    exit 0
}

command -v apt-get >/dev/null 2>&1 || give_up "there is no apt-get on this machine; install the servers by its own means"
[ "$(id -u)" = 0 ] || give_up "only root may install them; run: sudo tools/debian_packages.sh"

# Packages start their service on installation unless this policy forbids it; the machine's own policy comes back after.
policy=/usr/sbin/policy-rc.d
kept=
if [ -e "$policy" ]; then
    kept=$(mktemp)
    cp -p "$policy" "$kept"
fi
restore() {
    if [ -n "$kept" ]; then
        cp -p "$kept" "$policy"
        rm -f "$kept"
    else
        rm -f "$policy"
    fi
}
trap restore EXIT
trap 'exit 130' INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

echo "installing$missing$exim_missing with apt-get (no service is started)"
export DEBIAN_FRONTEND=noninteractive
# Called where `set -e` does not hold: every step hangs on the one before.
unpack_exim() {
    [ -n "$exim_missing" ] || return 0
    place=$(mktemp -d) && chmod 755 "$place" && (
        # shellcheck disable=SC2046 # the names are words
        cd "$place" &&
            apt-get download -q exim4-daemon-light &&
            apt-get install -y -q --no-install-recommends $(libraries exim4-daemon-light_*.deb) &&
            dpkg-deb -x exim4-daemon-light_*.deb . &&
            mkdir -p "${exim%/*}" &&
            install -m 0755 usr/sbin/exim4 "$exim"
    ) && rm -rf "$place" && {
        getent passwd Debian-exim >/dev/null ||
            useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin Debian-exim
    }
}
libraries() {
    dpkg-deb -f "$1" Depends | tr ',|' '\n\n' | sed -n 's/^ *\(lib[^ (]*\).*/\1/p'
}
install_all() {
    # shellcheck disable=SC2086 # the names are words
    { [ -z "$missing" ] || apt-get install -y -q --no-install-recommends $missing; } >"$log" 2>&1 &&
        unpack_exim >>"$log" 2>&1
}
log=$(mktemp)
if ! install_all && ! { apt-get update -q >>"$log" 2>&1 && install_all; }; then
    tail -n 15 "$log"
    rm -f "$log"
    give_up "apt-get could not install them, see above"
fi
rm -f "$log"
