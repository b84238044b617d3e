# What a supervisor writes: its log, its status, its place, the lock it gives back, the console log.

now() { "$DATE" +%s; }

say() { echo "$("$DATE" -u +%Y-%m-%dT%H:%M:%SZ) $*"; }

# tell PHASE [EXIT [REASON]]: the status file, replaced whole
tell() {
    phase=$1 supervisor=$$
    case $phase in stopped | failed) supervisor= ;; esac # the number will be another process's one day
    printf '%s\n' "state=$phase" "operation=$OPERATION" "supervisor=$supervisor" "bhyve=$child" "exit=${2:-}" \
        "reason=${3:-}" "lost_since=$lost_since" "at=$(now)" >"$RUN/status.new" &&
        "$MV" -f "$RUN/status.new" "$RUN/status"
}

# The status is the living one's: a start that is not to be tells its reason beside it.
refuse() {
    say "refused: $1"
    printf '%s\n' "operation=$OPERATION" "reason=$1" >"$RUN/refused.new" &&
        "$MV" -f "$RUN/refused.new" "$RUN/refused"
    exit 75
}

# take_place: become the guest's supervisor; false when another process is. Whoever comes takes the number after the
# last one, which stays, so that of two that find the last one dead only one comes after it. One that was slow may find
# a number free that others have had: it is none when there is a higher one.
take_place() {
    find_last
    whose=nobody other=
    [ "$last" -eq 0 ] || read -r other whose <"$RUN/supervisor.$last"
    if [ "$other" != $$ ] && is_supervisor "$RUN/supervisor.sh" "$other"; then return 1; fi
    next=$RUN/supervisor.$((last + 1))
    echo "$$ $OPERATION" >"$RUN/place.$$" || return 1
    if "$LN" "$RUN/place.$$" "$next"; then place=$next; fi
    "$RM" -f "$RUN/place.$$"
    if [ -z "$place" ]; then
        [ -e "$next" ] && take_place
        return
    fi
    find_last
    if [ "$place" != "$RUN/supervisor.$last" ]; then
        "$RM" -f "$place"
        place=
        take_place
        return
    fi
    for earlier in "$RUN"/supervisor.[0-9]*; do
        [ "$earlier" = "$place" ] || "$RM" -f "$earlier"
    done
}

find_last() {
    last=0
    for file in "$RUN"/supervisor.[0-9]*; do
        number=${file##*.}
        case $number in *[!0-9]*) ;; *) [ "$number" -le "$last" ] || last=$number ;; esac
    done
}

# is_larger FILE BYTES
is_larger() { [ -n "$("$FIND" "$1" -size +"$2"c 2>/dev/null)" ]; }

# bound FILE BYTES: what is written without end loses its beginning. Its writers append, so it can be emptied.
bound() {
    if is_larger "$1" "$2"; then
        "$CP" "$1" "$1.0"
        true >"$1"
    fi
}

holds() {
    operation=
    [ -e "$1" ] && read -r operation <"$1"
    [ "$operation" = "$OPERATION" ]
}

# From here on whoever finds the lock after an accident starts the guest from its disk, and installs nothing over it.
forget_medium() {
    if [ -z "$FIRST" ] || ! holds "$LOCK.op"; then return; fi
    { without_medium <"$LOCK.op" >"$LOCK.op.new" && "$MV" -f "$LOCK.op.new" "$LOCK.op"; } || "$RM" -f "$LOCK.op.new"
}

without_medium() {
    while IFS= read -r line; do
        case $line in medium=*) ;; *) printf '%s\n' "$line" || return ;; esac
    done
}

release_lock() {
    if holds "$LOCK.op"; then
        "$RM" -f "$LOCK.op" "$LOCK"
    else
        say "run.lock belongs to somebody else now, and stays"
    fi
    if holds "$RUN/claim"; then
        "$RM" -f "$RUN/claim"
    fi
}

# A serial port wired to standard output has a console log; the guest hears what is written into `typed`. What runs for
# it has both ends of both fifos, and meets neither an end nor a broken pipe, whoever else is killed; the log's writer
# meets its end with it. Only root reads it: systems print passwords when they are set up.
begin_console() {
    [ -n "$CONSOLE_LOG" ] || return
    "$RM" -f "$RUN/typed" "$RUN/said"
    if "$MKFIFO" -m 600 "$RUN/typed" "$RUN/said" && (umask 077 && true >>"$CONSOLE_LOG"); then
        console=beginning
    else
        say "there is no console log"
    fi
}

# with_console COMMAND: both ends of `said` are open before either of its two processes is there: however late the
# writer comes, what the other one says waits for it.
with_console() {
    {
        {
            "$CAT" <&4 >>"$CONSOLE_LOG" 4<&- 5<&- &
            console=$!
        } 4<"$RUN/said"
        "$1" <>"$RUN/typed" 1<>"$RUN/said" 2>>"$complaints" 5<&- &
        child=$!
    } 5<>"$RUN/said"
}

end_console() {
    [ -n "$console" ] || return
    writer=$console console=
    end=$(($(now) + FORCE_DEADLINE))
    while kill -0 "$writer" 2>/dev/null; do
        if [ "$(now)" -ge "$end" ]; then
            kill "$writer"
            return
        fi
        "$SLEEP" "$QUICK_TICK"
    done
}

keep_log_short() {
    if is_larger "$LOG" "$LONGEST_LOG" && "$MV" -f "$LOG" "$LOG.0" && true >>"$LOG"; then exec >>"$LOG" 2>&1; fi
}
