#!/usr/bin/env bash
# Installs sparkd as a systemd service on this machine, or upgrades it. Run it from a copy of sparkd's repository.
#
#   sudo ./install.sh                install or upgrade, and open port 8009 on loopback
#   sudo ./install.sh --no-start     the same, and leave it to you to start it
#   sudo ./install.sh --uninstall    remove it; configuration, keys and models stay
#   sudo ./install.sh --purge        remove it with all of those
#
#   --dry-run        say what would be done, and do nothing
#   --prefix DIR     where the program goes (/opt/sparkd)
#   --wheels DIR     take the Python packages from this folder and not from the network
#   --help           this text
#
# DESTDIR=DIR ./install.sh lays everything out below DIR, for packages: no user is made and nothing is started.
#
# What it makes: PREFIX (program, its environment, runtimes), /etc/sparkd (catalogue, API keys), /var/lib/sparkd (models,
# caches, logs), units in /usr/local/lib/systemd/system, /usr/local/bin/sparkctl, and the system user sparkd.
# The new program is built beside the old one and put in its place by a rename. Whatever fails, the old one goes on.
set -Eeuo pipefail
umask 022

SOURCE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly SOURCE ROOT=${DESTDIR:-}
readonly ETC=/etc/sparkd STATE=/var/lib/sparkd UNITS=/usr/local/lib/systemd/system LINK=/usr/local/bin/sparkctl
readonly SERVICE=sparkd.service SOCKETS=(sparkd.socket sparkd-control.socket)
readonly OWN_UNITS=("$SERVICE" "${SOCKETS[@]}" sparkd.slice)
readonly KEEPING=(system.slice user.slice ssh.service) # they get a drop-in that keeps memory for them
readonly DISK_PROGRAM=1 DISK_MODELS=100                # GiB

prefix=/opt/sparkd action=install dry=false start=true wheels=

say() { echo "==> $*"; }
note() { echo "note: $*"; }
fail() {
    echo "error: $*" >&2
    exit 1
}

# Runs a command, or with --dry-run says which.
act() {
    if $dry; then
        printf '    %q' "$1"
        shift
        (($# == 0)) || printf ' %q' "$@"
        echo
    else
        "$@"
    fi
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

parse() {
    while (($#)); do
        case $1 in
            --help | -h)
                usage
                exit 0
                ;;
            --dry-run) dry=true ;;
            --no-start) start=false ;;
            --uninstall) [[ $action == purge ]] || action=uninstall ;;
            --purge) action=purge ;;
            --prefix | --wheels)
                (($# > 1)) || fail "$1 needs a folder"
                [[ $1 == --prefix ]] && prefix=$2 || wheels=$2
                shift
                ;;
            --prefix=*) prefix=${1#*=} ;;
            --wheels=*) wheels=${1#*=} ;;
            *) fail "there is no option $1; --help tells what there is" ;;
        esac
        shift
    done
    [[ $prefix =~ ^(/[A-Za-z0-9._-]+){2,}$ && $prefix != */.* ]] ||
        fail "--prefix needs an absolute path of two parts or more, without spaces, such as /opt/sparkd: $prefix"
    [[ $prefix != /home/* && $prefix != /root/* ]] ||
        fail "the service may not look into /home and /root, so it cannot run from $prefix"
    if [[ -n $wheels ]]; then
        [[ -d $wheels ]] || fail "--wheels: there is no folder $wheels"
        wheels=$(cd -- "$wheels" && pwd)
    fi
    if [[ -n $ROOT ]]; then
        [[ $ROOT == /* ]] || fail "DESTDIR must be an absolute path: $ROOT"
        start=false
    elif ! $dry; then
        ((EUID == 0)) || fail "this needs root: sudo $0"
        [[ -d /run/systemd/system ]] || ! $start || fail "systemd does not run here; --no-start installs all the same"
    fi
}

# What is there, and what is lacking ---------------------------------------------------------------------------------

# A Python of the machine: not the caller's virtualenv, nor one in a home, which the service may not look into.
find_python() {
    local candidate real
    for candidate in /usr/bin/python3 /usr/bin/python3.1{2,3,4,1} /usr/local/bin/python3; do
        real=$(readlink -f "$candidate" 2> /dev/null) || continue
        [[ $real != /home/* && $real != /root/* ]] || continue
        if "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            python=$candidate
            return
        fi
    done
    fail "sparkd needs Python 3.11 or newer, and this machine has none:
    sudo apt-get install python3 python3-venv"
}

free_gib() {
    local folder=$1
    while [[ ! -e $folder ]]; do folder=$(dirname "$folder"); done
    echo $(($(df --output=avail -k "$folder" | tail -n 1) / 1024 / 1024))
}

require() {
    find_python
    "$python" -I -c 'import ensurepip, venv' 2> /dev/null || fail "$("$python" --version) lacks its venv module:
    sudo apt-get install python3-venv"
    (($(free_gib "$ROOT$prefix") >= DISK_PROGRAM)) || fail "$prefix needs $DISK_PROGRAM GiB of disk"
}

# What sparkd itself can do without and engines may not.
advise() {
    [[ -z $ROOT ]] || return 0
    [[ -e /dev/nvidiactl ]] || note "there is no NVIDIA driver, so engines have no GPU: sudo ubuntu-drivers install"
    command -v g++ > /dev/null ||
        note "engines compile kernels, and there is no compiler: sudo apt-get install gcc g++"
    "$python" -I -c 'import os, sys, sysconfig; sys.exit(
        not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
        note "engines compile kernels, and Python's headers are lacking: sudo apt-get install python3-dev"
    command -v ninja > /dev/null || note "engines compile kernels with ninja: sudo apt-get install ninja-build"
    local free
    free=$(free_gib "$STATE")
    ((free >= DISK_MODELS)) || note "$STATE has $free GiB of disk for models; large ones take 20 to 100 GiB each"
}

# The new program, beside the old one --------------------------------------------------------------------------------

# Names what a version was made from, so that the same is not built twice.
fingerprint() {
    {
        "$python" --version && echo "$python $prefix"
        cd "$SOURCE"
        find sparkd venvs units pyproject.toml requirements.lock models.toml install.sh \
            -type f -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum
    } | sha256sum | cut -c 1-12
}

# The catalogue that comes with sparkd, with the folders of an installation.
catalogue() {
    cat << CATALOGUE
# sparkd's catalogue. An upgrade never changes this file: where the one that comes with sparkd has changed, it is put
# beside it as models.toml.new. Models and settings of your own are best put into files of their own in models.d/.
# The port is not said here: systemd holds it (sparkd.socket).

[server]
api_key_file = "/dev/stdin" # $ETC/keys, which systemd opens for the daemon: only root can

[paths]
models = "$STATE/models"
state = "$STATE"
run = "/run/sparkd"
venvs = "$prefix/current/venvs"
runtimes = "$prefix/runtimes"

CATALOGUE
    grep -v '^#' "$SOURCE/models.toml"
}

build() {
    local version=$prefix/versions/$name work
    if [[ -e $ROOT$version/complete ]]; then
        say "$name is built already"
        return
    fi
    say "Building $version with $("$python" --version)"
    if $dry; then return; fi
    rm -rf "$ROOT$version"
    mkdir -p "$ROOT$version/share"
    "$python" -I -m venv "$ROOT$version"
    local pip=("$ROOT$version/bin/python" -I -B -m pip --disable-pip-version-check --no-cache-dir --quiet)
    local install=("${pip[@]}" install --root-user-action ignore --no-warn-script-location --no-compile)
    [[ -z $wheels ]] || install+=(--no-index --find-links "$wheels")
    "${install[@]}" --require-hashes --requirement "$SOURCE/requirements.lock"
    # Built from a copy: setuptools leaves things in the folder it builds from.
    work=$(mktemp -d)
    cp -R "$SOURCE"/{sparkd,pyproject.toml,README.md,LICENSE} "$work"
    "${install[@]}" --no-deps --no-build-isolation "$work"
    rm -rf "$work"
    # What it was built with is not needed to run it.
    "${pip[@]}" uninstall --yes --root-user-action ignore setuptools pip
    # The service may not write here, and would else compile everything anew at each start.
    "$ROOT$version/bin/python" -I -m compileall -q -s "$ROOT" -p / "$ROOT$version/lib"
    cp -R "$SOURCE/venvs" "$SOURCE/units" "$ROOT$version"
    find "$ROOT$version/units" -type f -exec sed -i "s|/opt/sparkd|$prefix|g" {} +
    catalogue > "$ROOT$version/share/models.toml"
    if [[ -n $ROOT ]]; then
        grep -rlIF "$ROOT$prefix" "$ROOT$version/bin" "$ROOT$version/pyvenv.cfg" |
            xargs -r sed -i "s|$ROOT$prefix|$prefix|g"
    else
        "$version/bin/sparkd" --version > /dev/null
    fi
    touch "$ROOT$version/complete"
}

# Putting it in place ------------------------------------------------------------------------------------------------

make_user() {
    [[ -z $ROOT ]] || return 0
    getent passwd sparkd > /dev/null || {
        say "Making the system user sparkd"
        act useradd --system --user-group --home-dir "$STATE" --no-create-home --shell /usr/sbin/nologin sparkd
    }
}

configure() {
    local own=$ROOT$ETC/models.toml shipped=$ROOT$prefix/versions/$name/share/models.toml
    local before=$ROOT$old/share/models.toml
    act mkdir -p "$ROOT$ETC/models.d" "$ROOT$STATE" "$ROOT$prefix/runtimes"
    [[ -n $ROOT ]] || act chown sparkd:sparkd "$STATE"
    act chmod 750 "$ROOT$STATE"
    if [[ ! -e $own ]]; then
        say "Writing $ETC/models.toml"
        act install -m 644 "$shipped" "$own"
    elif ! $dry && ! cmp -s "$own" "$shipped" && ! { [[ -n $old ]] && cmp -s "$before" "$shipped"; }; then
        install -m 644 "$shipped" "$own.new"
        note "the catalogue that comes with sparkd has changed. Yours stays as it is; the new one is $ETC/models.toml.new"
    fi
    if [[ ! -e $ROOT$ETC/keys && -z $ROOT ]]; then
        say "Writing a random API key into $ETC/keys, which only root can read"
        act make_key
    fi
}

make_key() {
    (
        umask 077
        {
            echo "# API keys, one a line: a name for it, then the key. A change is read when sparkd restarts."
            echo "owner: sk-$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
        } > "$ETC/keys.new"
        mv "$ETC/keys.new" "$ETC/keys"
    )
}

place_units() {
    local from=$ROOT$1/units unit
    act mkdir -p "$ROOT$UNITS"
    for unit in "${OWN_UNITS[@]}"; do
        act install -m 644 "$from/$unit" "$ROOT$UNITS/$unit"
    done
    for unit in "${KEEPING[@]}"; do
        act mkdir -p "$ROOT$UNITS/$unit.d"
        act install -m 644 "$from/memory/$unit.conf" "$ROOT$UNITS/$unit.d/50-sparkd.conf"
    done
}

remove_if_empty() { [[ ! -d $ROOT$1 ]] || act rmdir --ignore-fail-on-non-empty "$ROOT$1"; }

remove_units() {
    local unit
    for unit in "${OWN_UNITS[@]}"; do act rm -f "$ROOT$UNITS/$unit"; done
    for unit in "${KEEPING[@]}"; do
        act rm -f "$ROOT$UNITS/$unit.d/50-sparkd.conf"
        remove_if_empty "$UNITS/$unit.d"
    done
    remove_if_empty "$UNITS"
    remove_if_empty "$(dirname "$UNITS")"
}

# One rename: there is no moment without a program.
point() {
    act ln -sfn "$1" "$ROOT$prefix/current.new"
    act mv -T "$ROOT$prefix/current.new" "$ROOT$prefix/current"
}

reload() { [[ -n $ROOT || ! -d /run/systemd/system ]] || act systemctl daemon-reload; }

is_active() { [[ -z $ROOT ]] && systemctl is-active --quiet "$1" 2> /dev/null; }

# Whatever fails once the new program is in place, the old one comes back.
undo() {
    local status=$?
    ((BASH_SUBSHELL == 0)) || exit "$status" # the shell that waits for this one does it
    trap - ERR INT TERM
    ((status)) || status=130 # interrupted
    [[ -e $ROOT$prefix/versions/$name/complete ]] || rm -rf "$ROOT$prefix/versions/$name"
    $changing || exit "$status"
    echo "error: that failed; putting back what was there" >&2
    if [[ -n $old ]]; then
        point "$old"
        place_units "$old"
    else
        [[ -n $ROOT ]] || systemctl disable --quiet --now "${SOCKETS[@]}" "$SERVICE" 2> /dev/null || true
        remove_units
        rm -f "$ROOT$prefix/current" "$ROOT$LINK"
    fi
    reload
    if $was_active; then systemctl restart "$SERVICE" || true; fi
    exit "$status"
}

put_in_place() {
    changing=true
    point "$prefix/versions/$name"
    if [[ -z $ROOT ]]; then
        act "$prefix/current/bin/sparkctl" --catalogue "$ETC/models.toml" check
    fi
    place_units "$prefix/versions/$name"
    act mkdir -p "$ROOT$(dirname "$LINK")"
    act ln -sfn "$prefix/current/bin/sparkctl" "$ROOT$LINK"
    reload
    if $start; then
        say "Opening the sockets"
        act systemctl enable --quiet --now "${SOCKETS[@]}"
        if $was_active; then
            say "Restarting sparkd; connections made meanwhile wait"
            act systemctl restart "$SERVICE"
        fi
    fi
    changing=false
}

# The version before this one stays, for a daemon that still runs from it.
prune() {
    local folder
    for folder in "$ROOT$prefix"/versions/*; do
        [[ ! -d $folder || $folder == "$ROOT$prefix/versions/$name" || $folder == "$ROOT$old" ]] || act rm -rf "$folder"
    done
}

install_all() {
    require
    advise
    name=$("$python" -I -c 'import sys, tomllib; print(tomllib.load(sys.stdin.buffer)["project"]["version"])' \
        < "$SOURCE/pyproject.toml")-$(fingerprint)
    old=$(readlink "$ROOT$prefix/current") || old=
    [[ -d $ROOT$old ]] || old=
    ! is_active "$SERVICE" || was_active=true
    trap undo ERR INT TERM
    build
    make_user
    configure
    put_in_place
    prune
    trap - ERR INT TERM
    if $dry; then
        say "Nothing was done"
    elif $start; then
        say "Done. It starts with the first connection:
    curl http://127.0.0.1:8009/v1/models -H \"Authorization: Bearer \$(sudo sed -n 's/^owner: //p' $ETC/keys)\"
    sudo sparkctl status"
    else
        say "Done. To start it: systemctl enable --now ${SOCKETS[*]}"
    fi
}

uninstall() {
    say "Stopping sparkd"
    if [[ -z $ROOT && -d /run/systemd/system ]]; then
        act systemctl disable --quiet --now "${SOCKETS[@]}" "$SERVICE" 2> /dev/null || true
    fi
    remove_units
    reload
    say "Removing $prefix and $LINK"
    act rm -f "$ROOT$LINK"
    act rm -rf "$ROOT$prefix"/{current,versions,runtimes}
    remove_if_empty "$prefix"
    [[ -n $ROOT ]] || act rm -rf /run/sparkd /run/sparkd-control.sock
    if [[ $action == purge ]]; then
        say "Removing $ETC, $STATE and the user sparkd"
        act rm -rf "$ROOT$ETC" "$ROOT$STATE"
        if [[ -z $ROOT ]] && getent passwd sparkd > /dev/null; then act userdel sparkd; fi
    else
        say "Kept: $ETC (configuration, keys), $STATE (models, logs), the user sparkd. --purge removes them too."
    fi
}

name='' old='' python='' changing=false was_active=false
export PYTHONDONTWRITEBYTECODE=1 # what is compiled is compiled once, in the end
unset PIP_REQUIRE_VIRTUALENV PYTHONPATH PYTHONHOME VIRTUAL_ENV
parse "$@"
case $action in
    install)
        if ! $dry; then
            mkdir -p "$ROOT$prefix"
            exec 9< "$ROOT$prefix"
            flock --nonblock 9 || fail "another installation into $prefix is under way"
        fi
        install_all
        ;;
    *) uninstall ;;
esac
