# shellcheck shell=bash
# What install.sh puts outside its own folder, all of it or nothing. A part of install.sh; of no use by itself.
#
# Everything is first written beside its place (.sparkd-new): a full disk is noticed while nothing has changed. What will be
# replaced is copied (.sparkd-old), `current` last. Then come renames alone. Whatever fails afterwards, the copies go back;
# a run that was killed is taken back by the next one, which knows it by the copy of `current`.

readonly NEW=.sparkd-new OLD=.sparkd-old
readonly UNITS=/usr/local/lib/systemd/system SHARE=/usr/local/share LINK=/usr/local/bin/sparkctl
readonly SERVICE=sparkd.service SOCKETS=(sparkd.socket sparkd-control.socket)
readonly KEEPING=(system.slice user.slice ssh.service) # they get a drop-in that keeps memory for them

staged=() retired=() made=()

# What a version puts where, a line each: the file in its folder, and its place.
places() {
    local unit
    for unit in "$SERVICE" "${SOCKETS[@]}" sparkd.slice; do
        echo "units/$unit $UNITS/$unit"
    done
    for unit in "${KEEPING[@]}"; do
        echo "units/memory/$unit.conf $UNITS/$unit.d/50-sparkd.conf"
    done
    echo "completions/bash $SHARE/bash-completion/completions/sparkctl"
    echo "completions/bash $SHARE/bash-completion/completions/sparkd"
    echo "completions/zsh $SHARE/zsh/site-functions/_sparkctl"
    echo "completions/fish $SHARE/fish/vendor_completions.d/sparkctl.fish"
    echo "completions/fish $SHARE/fish/vendor_completions.d/sparkd.fish"
}

# Every place that the version in use has taken, or this one would.
taken() {
    {
        places
        cat "$ROOT$prefix/current/share/places" 2> /dev/null || true
    } | cut -d ' ' -f 2 | sort -u
    echo "$LINK"
}

is_there() { [[ -e $ROOT$1 || -L $ROOT$1 ]]; }

# A folder with its parents, remembered, so that a failure or an uninstall can take it away again.
make_folder() {
    [[ $1 != / && ! -d $ROOT$1 ]] || return 0
    make_folder "$(dirname "$1")"
    act mkdir "$ROOT$1"
    made+=("$1")
    if $dry || [[ ! -d $ROOT$prefix ]]; then return; fi
    if [[ $1 == "$prefix" ]]; then printf '%s\n' "${made[@]}"; else echo "$1"; fi >> "$ROOT$prefix/folders"
}

# stage FILE PLACE [MODE]
stage() {
    make_folder "$(dirname "$2")"
    if $dry; then
        act install -m "${3:-644}" "$1" "$ROOT$2"
        return
    fi
    staged+=("$2")
    install -m "${3:-644}" "$1" "$ROOT$2$NEW"
}

# stage_link AIM PLACE
stage_link() {
    make_folder "$(dirname "$2")"
    if $dry; then
        act ln -sfn "$1" "$ROOT$2"
        return
    fi
    staged+=("$2")
    ln -sfn "$1" "$ROOT$2$NEW"
}

# Everything of a version but the catalogue, which is the owner's.
stage_version() {
    local version=$1 file place
    stage_link "$version" "$prefix/current"
    stage_link "$prefix/current/bin/sparkctl" "$LINK"
    while read -r file place; do
        stage "$ROOT$version/$file" "$place"
    done < <(places)
    while read -r place; do
        [[ " ${staged[*]} " == *" $place "* ]] || ! is_there "$place" || retired+=("$place")
    done < <(taken)
}

commit() {
    local place
    for place in "${staged[@]:1}" "${retired[@]}" "${staged[0]}"; do # `current`, the mark of a change begun, is the last
        ! is_there "$place" || cp -afT "$ROOT$place" "$ROOT$place$OLD"
    done
    changing=true
    for place in "${staged[@]}"; do
        mv -fT "$ROOT$place$NEW" "$ROOT$place"
    done
    for place in "${retired[@]}"; do
        rm -f "$ROOT$place"
    done
}

# There is no way back from here.
settle() {
    local place
    changing=false
    for place in "${staged[@]}" "${retired[@]}"; do # `current` is the first
        rm -f "$ROOT$place$OLD" || note "$ROOT$place$OLD is of no use any more, and could not be removed"
    done
}

# Takes back what this run has changed.
take_back() {
    local place i
    for place in "${staged[@]}" "${retired[@]}"; do
        if $changing; then
            if is_there "$place$OLD"; then mv -fT "$ROOT$place$OLD" "$ROOT$place"; else rm -f "$ROOT$place"; fi
        fi
        rm -f "$ROOT$place"{"$NEW","$OLD"}
    done
    [[ -n $old ]] || rm -f "$ROOT$prefix/folders"
    for ((i = ${#made[@]} - 1; i >= 0; i--)); do
        remove_if_empty "${made[i]}"
    done
}

# Takes back what a run that was killed has begun, and sweeps up what it left.
recover() {
    local place begun=false
    ! is_there "$prefix/current$OLD" || begun=true
    ! $begun || say "The last run was cut short; taking it back"
    while read -r place; do
        if $begun && is_there "$place$OLD"; then act mv -fT "$ROOT$place$OLD" "$ROOT$place"; fi
        if is_there "$place$OLD" || is_there "$place$NEW"; then act rm -f "$ROOT$place"{"$NEW","$OLD"}; fi
    done < <(
        taken
        printf '%s\n' "$ETC"/{keys,models.toml,models.toml.new,models.toml.sha256} "$prefix/current"
    )
    ! $begun || reload
}

remove_if_empty() { [[ ! -d $ROOT$1 || -n $(ls -A "$ROOT$1") ]] || act rmdir "$ROOT$1"; }

# The folders that this and earlier runs have made and nobody else uses.
remove_folders() {
    local folder
    while read -r folder; do
        remove_if_empty "$folder"
    done < <(tac "$ROOT$prefix/folders" 2> /dev/null)
}
