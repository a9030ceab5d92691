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
# caches, logs), units in /usr/local/lib/systemd/system, /usr/local/bin/sparkctl, completions for bash, zsh and fish in
# /usr/local/share, and the system user sparkd.
# The new program is built beside the old one and put in its place by renames. Whatever fails, the old one goes on.
set -Eeuo pipefail
umask 022

SOURCE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly SOURCE ROOT=${DESTDIR:-}
readonly ETC=/etc/sparkd STATE=/var/lib/sparkd CONTROL=/run/sparkd-control.sock

prefix=/opt/sparkd action=install dry=false start=true wheels=
name='' version='' old='' python='' changing=false was_active=false touched=false made_user=false news=() before=()

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

# shellcheck source=scripts/install-machine.sh
source "$SOURCE/scripts/install-machine.sh"
# shellcheck source=scripts/install-files.sh
source "$SOURCE/scripts/install-files.sh"
# shellcheck source=scripts/install-running.sh
source "$SOURCE/scripts/install-running.sh"

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
        [[ -d /run/systemd/system || $action != install ]] || ! $start ||
            fail "systemd does not run here; --no-start installs all the same"
    fi
}

# The new program, beside the old one --------------------------------------------------------------------------------

# Names what a version was made from, so that the same is not built twice.
fingerprint() {
    {
        "$python" --version && echo "$python $prefix"
        cd "$SOURCE"
        find sparkd venvs units pyproject.toml requirements{-build,}.lock models.toml install.sh scripts/install-*.sh \
            -type f -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum
    } | sha256sum | cut -c 1-12
}

# The catalogue that comes with sparkd, with the directories of this installation. Needs the new version's Python.
catalogue() {
    cat << CATALOGUE
# sparkd's catalogue. An upgrade replaces this file only if you have not changed it. Otherwise the upgrade writes the new one
# to models.toml.new. Put your own models and settings into files in models.d/.
#
# The port is set in sparkd.socket, because systemd opens it. The API keys are in $ETC/keys, which only root can read:
# systemd opens that file as the daemon's standard input.

CATALOGUE
    "$ROOT$version/bin/python" -I -B - "$STATE" "$prefix" << 'PYTHON'
import sys

import tomli_w

state, prefix = sys.argv[1:]
paths = {"models": f"{state}/models", "state": state, "run": "/run/sparkd"}
paths |= {"venvs": f"{prefix}/current/venvs", "runtimes": f"{prefix}/runtimes"}
print(tomli_w.dumps({"server": {"api_key_file": "/dev/stdin"}, "paths": paths}))
PYTHON
    grep -v '^#' "$SOURCE/models.toml"
}

build() {
    if [[ -e $ROOT$version/complete ]]; then
        say "$name is built already"
        return
    fi
    say "Building $version with $("$python" --version)"
    local pip=("$ROOT$version/bin/python" -I -B -m pip --disable-pip-version-check --no-cache-dir --quiet)
    local install=("${pip[@]}" install --root-user-action ignore --no-warn-script-location --no-compile)
    [[ -z $wheels ]] || install+=(--no-index --find-links "$wheels")
    make_folder "$prefix/versions"
    act rm -rf "$ROOT$version"
    act "$python" -I -m venv "$ROOT$version"
    act "${install[@]}" --require-hashes --requirement "$SOURCE/requirements-build.lock"
    act "${install[@]}" --use-pep517 --no-build-isolation --require-hashes --requirement "$SOURCE/requirements.lock"
    # From a copy: setuptools leaves things in the folder it builds from.
    act mkdir "$ROOT$version/share" "$ROOT$version/completions" "$ROOT$version/source"
    act cp -R "$SOURCE"/{sparkd,pyproject.toml,README.md,LICENSE} "$ROOT$version/source"
    act "${install[@]}" --no-deps --no-build-isolation "$ROOT$version/source"
    act rm -rf "$ROOT$version/source"
    # What it was built with is not needed to run it.
    act "${pip[@]}" uninstall --yes --root-user-action ignore setuptools pip
    # The service may not write here, and would else compile everything anew at each start.
    act "$ROOT$version/bin/python" -I -m compileall -q -s "$ROOT" -p / "$ROOT$version/lib"
    act cp -R "$SOURCE/venvs" "$SOURCE/units" "$ROOT$version"
    if $dry; then
        echo "    # units, completions and the catalogue, as they are for $prefix"
    else
        write_what_is_derived
    fi
    [[ -n $ROOT ]] || act "$version/bin/sparkd" --version > /dev/null
    act touch "$ROOT$version/complete"
}

# Everything in a version that depends on where it lies.
write_what_is_derived() {
    local shell
    find "$ROOT$version/units" -type f -exec sed -i "s|/opt/sparkd|$prefix|g" {} +
    for shell in bash zsh fish; do
        "$ROOT$version/bin/python" -I -B -m sparkd.cli completion "$shell" > "$ROOT$version/completions/$shell"
    done
    places > "$ROOT$version/share/places"
    catalogue > "$ROOT$version/share/models.toml"
    [[ -z $ROOT ]] || grep -rlIF "$ROOT$prefix" "$ROOT$version"/{bin,pyvenv.cfg,lib/python*/site-packages/sparkd-*} |
        xargs -r sed -i "s|$ROOT$prefix|$prefix|g"
}

# What is the owner's ------------------------------------------------------------------------------------------------

make_user() {
    [[ -z $ROOT ]] || return 0
    getent passwd sparkd > /dev/null || {
        say "Making the system user sparkd"
        made_user=true
        act useradd --system --user-group --home-dir "$STATE" --no-create-home --shell /usr/sbin/nologin sparkd
    }
}

configure() {
    make_folder "$ETC/models.d"
    make_folder "$prefix/runtimes"
    make_folder "$STATE"
    [[ -n $ROOT ]] || act chown sparkd:sparkd "$STATE"
    act chmod 750 "$ROOT$STATE"
    if [[ ! -e $ROOT$ETC/keys && -z $ROOT ]]; then
        say "Writing a random API key into $ETC/keys, which only root can read"
        stage <(new_keys) "$ETC/keys" 600
    fi
    stage_catalogue
}

new_keys() {
    echo "# API keys, one a line: a name for it, then the key. \`sudo systemctl reload sparkd\` reads a change that was written in place,"
    echo "# as \`tee\` does; most editors put a new file here, and that takes a restart."
    echo "owner: sk-$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
}

digest() { sha256sum | cut -d ' ' -f 1; }

# models.toml.sha256 has the digest of the catalogue that the owner was given last. One that still has it is unchanged.
stage_catalogue() {
    local place=$ETC/models.toml own='' given='' shipped=''
    # A dry run has not made the new one, and takes it for a changed one.
    [[ ! -e $ROOT$version/share/models.toml ]] || shipped=$(digest < "$ROOT$version/share/models.toml")
    [[ ! -e $ROOT$place ]] || own=$(digest < "$ROOT$place")
    [[ ! -e $ROOT$place.sha256 ]] || given=$(cut -d ' ' -f 1 "$ROOT$place.sha256")
    if [[ -n $own && -n $shipped && $shipped == "$given" ]]; then return; fi
    if [[ -z $own ]]; then
        say "Writing $place"
        stage "$ROOT$version/share/models.toml" "$place"
    elif [[ $own == "$given" ]]; then
        say "Replacing $place by the new one; you have not changed it"
        stage "$ROOT$version/share/models.toml" "$place"
    elif [[ $own != "$shipped" ]]; then
        stage "$ROOT$version/share/models.toml" "$place.new"
        news+=("the catalogue that comes with sparkd has changed. You have changed yours, so it stays; the new one is $place.new:
    diff $place $place.new")
    fi
    stage <(echo "$shipped  models.toml") "$place.sha256"
}

# Whether the new program takes the catalogue as it will be, before anything changes.
check_catalogue() {
    local folder=$version/check own=$ETC/models.toml
    [[ -z $ROOT ]] || return 0
    say "Checking the catalogue with the new program"
    $dry || [[ ! -e $own$NEW ]] || own=$own$NEW
    act rm -rf "$folder"
    act mkdir "$folder"
    act ln -s "$ETC/models.d" "$folder/models.d"
    act cp "$own" "$folder/models.toml"
    act sed -i "s|\"$prefix/current/|\"$version/|" "$folder/models.toml" # `current` is still the old one
    act "$version/bin/sparkctl" --catalogue "$folder/models.toml" check
    act rm -rf "$folder"
}

# Install, uninstall -------------------------------------------------------------------------------------------------

# Whatever fails, what was there goes on.
undo() {
    local status=$?
    ((BASH_SUBSHELL == 0)) || exit "$status" # the shell that waits for this one does it
    trap - ERR INT TERM HUP
    ((status)) || status=130 # interrupted
    set +e
    $dry && exit "$status"
    if $changing; then
        echo "error: that failed; putting back what was there" >&2
    else
        echo "error: that failed; nothing has changed" >&2
    fi
    [[ -n $old ]] || ! $changing || close
    [[ -e $ROOT$version/complete && -n $old ]] || rm -rf "$ROOT${version:?}"
    take_back
    ! $made_user || userdel sparkd
    if $changing; then
        reload
        reopen
        if $touched || { $was_active && ! is_active "$SERVICE"; }; then systemctl restart "$SERVICE"; fi
    fi
    exit "$status"
}

# The version before this one stays, and so does that of a daemon which still runs.
prune() {
    local folder runs
    runs=$(running_version)
    for folder in "$ROOT$prefix"/versions/*; do
        case $folder in
            "$ROOT$version" | "$ROOT$old" | "$ROOT$runs") ;;
            *) [[ ! -d $folder ]] || act rm -rf "$folder" || note "$folder is of no use any more, and could not be removed" ;;
        esac
    done
}

lock() {
    [[ -d $ROOT$prefix ]] && ! $dry || return 0
    exec 9< "$ROOT$prefix"
    flock --nonblock 9 || fail "another installation into $prefix is under way"
}

install_all() {
    local item
    require
    advise
    name=$("$python" -I -c 'import sys, tomllib; print(tomllib.load(sys.stdin.buffer)["project"]["version"])' \
        < "$SOURCE/pyproject.toml")-$(fingerprint)
    version=$prefix/versions/$name
    [[ -z $ROOT ]] || act mkdir -p "$ROOT"
    make_folder "$prefix"
    lock
    recover
    old=$(readlink "$ROOT$prefix/current") || old=
    [[ -d $ROOT$old ]] || old=
    ! is_active "$SERVICE" || was_active=true
    trap undo ERR INT TERM HUP
    build
    make_user
    stage_version "$version"
    configure
    check_catalogue
    take_note_of_sockets
    say "Putting it in place"
    $dry || commit
    reload
    ! $start || renew
    trap - ERR INT TERM HUP
    $dry || settle
    prune
    for item in "${news[@]}"; do note "$item"; done
    farewell
}

farewell() {
    if $dry; then
        say "Nothing was done"
    elif $start; then
        say "Done. It starts with the first connection:
    curl http://127.0.0.1:8009/v1/models -H \"Authorization: Bearer \$(sudo sed -n 's/^owner: //p' $ETC/keys)\"
    sudo sparkctl doctor    # what to do next"
    else
        say "Done. To start it: sudo systemctl enable --now ${SOCKETS[*]}"
    fi
}

uninstall() {
    local place
    lock
    recover
    say "Stopping sparkd"
    close
    say "Removing units, completions, $LINK and $prefix"
    while read -r place; do
        ! is_there "$place" || act rm -f "$ROOT$place"
    done < <(taken)
    reload
    if [[ $action == purge ]]; then
        say "Removing $ETC, $STATE, drop-ins of sparkd's units and the user sparkd"
        act rm -rf "$ROOT$ETC" "$ROOT$STATE" "$ROOT"/etc/systemd/system/sparkd{,-control}.{service,socket,slice}.d
        if [[ -z $ROOT ]] && getent passwd sparkd > /dev/null; then act userdel sparkd; fi
    else
        say "Kept: $ETC (configuration, keys), $STATE (models, logs), the user sparkd. --purge removes them too."
    fi
    act rm -rf "$ROOT$prefix"/{current,versions,runtimes}
    remove_folders
    act rm -f "$ROOT$prefix/folders"
    remove_if_empty "$prefix"
}

export PYTHONDONTWRITEBYTECODE=1 # what is compiled is compiled once, in the end
unset PIP_REQUIRE_VIRTUALENV PYTHONPATH PYTHONHOME VIRTUAL_ENV
parse "$@"
case $action in
    install) install_all ;;
    *) uninstall ;;
esac
