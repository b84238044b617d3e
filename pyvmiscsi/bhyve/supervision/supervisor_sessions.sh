# The guest's sessions: whether they are there, and how they are taken away. Nothing here looks at a disk, because
# opening a dead one stops GEOM on the whole host; iscsictl answers whatever state a disk is in.

is_ours() {
    for target in $TARGETS; do
        [ "$1" = "$target" ] && return 0
    done
    return 1
}

# Whether each of our targets has a connected session.
sessions_are_up() {
    [ -n "$TARGETS" ] || return 0
    listing=$("$ISCSICTL" -L) || return 0 # an unanswered question is no reason to take disks away
    up=
    while read -r target _portal state; do
        case $state in Connected:*) up="$up $target " ;; esac
    done <<END
$listing
END
    for target in $TARGETS; do
        case $up in *" $target "*) ;; *) return 1 ;; esac
    done
}

watch_sessions() {
    [ -z "$taken_away" ] || return
    if sessions_are_up; then
        [ -z "$lost_since" ] && return
        lost_since=
        say "all sessions are connected again"
    else
        [ -n "$lost_since" ] && return
        lost_since=$(now)
        say "a session is not connected: the guest waits for its disk"
    fi
    tell "$phase"
}

is_lost_for() {
    [ -n "$lost_since" ] && [ $(($(now) - lost_since)) -ge "$1" ]
}

# Our sessions, each by the portal that the host itself spells.
take_sessions_away() {
    [ -n "$TARGETS" ] || return
    taken_away=yes
    listing=$("$ISCSICTL" -L) || say "iscsictl gave no list of sessions"
    while read -r target portal _state; do
        is_ours "$target" || continue
        if "$ISCSICTL" -R -p "$portal" -t "$target"; then
            say "logged out of $target at $portal"
        fi
    done <<END
$listing
END
    lost_since=
}

# A start must not open a dead disk, and what was taken away does not come back.
wait_for_sessions() {
    [ -z "$taken_away" ] || return 1
    end=$(($(now) + READY_DEADLINE))
    until sessions_are_up; do
        if is_to_end || [ "$(now)" -ge "$end" ]; then return 1; fi
        pause
    done
}
