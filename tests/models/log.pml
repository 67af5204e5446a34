/* log.pml: rules L1 to L5 for Spin (run_spin.py runs it). Spin searches again what m1_log.py and m2_read.py search.
 *
 * Processes: an up-to-date writer, LATE late writers, a fold, a collector and, with -DREADER, a warm strong reader that
 * sends the manifest and the probe of the next entry in one round. Each guarded or atomic step is one request.
 *
 * Rules that can be switched off: -DNO_ACK (L2), -DNO_VALID (L3: no PUT behind an unvalidated entry), -DNO_WAIT (L2: no
 * next number while this one is unknown), -DNO_GRACE (L4), -DNO_FLOOR (L4: look beyond the manifest's floor).
 *
 * Time is modelled by its only consequence: when the collector deletes an entry, a reader whose manifest request was
 * sent before the swap that let the entry go has waited longer than G, so its later answers are late. */
#ifndef N
#define N 2 /* log numbers */
#endif
#ifndef LATE
#define LATE 2
#endif

byte slot[N + 2];  /* the entry that lies at each number; 0: none */
byte first[N + 2]; /* ghost: the entry that was first put there */
byte count;        /* numbers that were put */
byte floor, gone;
byte acked;        /* the last number that is known to be acknowledged */
bool reading, late;
byte sent_gone;    /* gone when the reader sent its manifest request */

/* What must stay true. pan prints the name of the one that breaks. */
bool the_chain_fits_the_log = true;
bool no_entry_is_behind_a_hole = true;
bool acknowledged_is_in_the_log = true;
bool a_strong_read_uses_no_zombie = true;
bool a_strong_read_sees_what_was_acknowledged = true;

/* Puts entry `id`, which carries the hash of `before`, at number n if that is free. */
inline put(n, id, before, landed)
{
    d_step {
        landed = (slot[n] == 0);
        if
        :: landed ->
            slot[n] = id;
            if
            :: n == count + 1 ->
                the_chain_fits_the_log = (before == first[n - 1]);
                assert(the_chain_fits_the_log);
                first[n] = id;
                count = n
            :: n > count + 1 ->
                no_entry_is_behind_a_hole = false;
                assert(no_entry_is_behind_a_hole)
            :: else
            fi
        :: else
        fi
    }
}

proctype Fresh()
{
    bool landed;
    do
    :: atomic { count < N && slot[count + 1] == 0 ->
            put(count + 1, 10 + count, first[count], landed);
            acked = (acked < count -> count : acked) }
    :: break
    od
}

/* A try that may be carried out at any time. */
proctype Straggler(byte n, id, before)
{
    bool landed;
    put(n, id, before, landed)
}

proctype Late(byte me)
{
    byte known = 0, n = 1, before = 0, id = me;
    bool valid = true, unclear = false, spent = false, landed;
tail:
    do
    :: atomic { n <= N && slot[n] != 0 && slot[n] != id -> before = slot[n]; n++; valid = false }
    :: break
    od;
    if
    :: n > N -> goto end
    :: else
    fi;
#ifndef NO_VALID
    if
    :: atomic { !valid && gone <= known -> valid = true }
    :: atomic { !valid && gone > known -> known = floor; n = floor + 1; before = first[floor]; valid = true; goto tail }
    :: valid
    fi;
#endif
    if
    :: !spent -> spent = true; unclear = true; run Straggler(n, id, before) /* one unclear try, so that the search ends */
    :: true
    fi;
#ifdef NO_WAIT
    if
    :: unclear && id == me -> before = id; id = me + LATE; n++; unclear = false; goto tail
    :: true
    fi;
#endif
    put(n, id, before, landed);
    if
    :: landed -> goto check
    :: else
    fi;
    if
    :: atomic { slot[n] == id -> goto check }
    :: atomic { slot[n] == 0 -> goto end } /* unknown */
    :: atomic { slot[n] != 0 && slot[n] != id }
    fi;
    if
    :: atomic { unclear && gone >= n -> goto end } /* nobody can say whose it was: unknown */
    :: atomic { unclear && gone < n -> unclear = false }
    :: !unclear
    fi;
    goto tail;
check:
    atomic {
#ifdef NO_ACK
        if
        :: true ->
#else
        if
        :: gone < n ->
#endif
            acknowledged_is_in_the_log = (first[n] == id);
            assert(acknowledged_is_in_the_log);
            acked = (acked < n -> n : acked)
        :: else
        fi
    }
end:
    skip
}

proctype Fold()
{
    do
    :: atomic { floor < count -> floor++ }
    :: break
    od
}

proctype Collector()
{
    byte k;
    do
    :: atomic { gone < floor -> gone++ }
    :: atomic {
            k = 1;
            do
            :: k <= gone && slot[k] == 0 -> k++
            :: else -> break
            od;
            if
            :: k <= gone -> slot[k] = 0; late = (late || (reading && sent_gone < k))
            :: else
            fi;
            k = 0 }
    :: break
    od
}

#ifdef READER
proctype Reader()
{
    byte n, seen_floor, need, entry;
    bool has_manifest, has_probe;
    atomic { n = count }
    atomic { need = acked; reading = true; sent_gone = gone; late = false }
probe:
    has_probe = false;
    do
    :: atomic { !has_manifest -> seen_floor = floor; has_manifest = true }
    :: atomic { !has_probe -> entry = slot[n + 1]; has_probe = true }
    :: has_manifest && has_probe -> break
    od;
#ifndef NO_GRACE
    if
    :: atomic { late -> sent_gone = gone; late = false; seen_floor = floor;
            if
            :: gone > n -> n = seen_floor; goto probe
            :: else
            fi }
    :: else
    fi;
#endif
#ifndef NO_FLOOR
    if
    :: seen_floor > n -> n = seen_floor; goto probe
    :: else
    fi;
#endif
    if
    :: entry != 0 && n < N ->
        a_strong_read_uses_no_zombie = (entry == first[n + 1]);
        assert(a_strong_read_uses_no_zombie);
        n++;
        goto probe
    :: else
    fi;
    a_strong_read_sees_what_was_acknowledged = ((seen_floor > n -> seen_floor : n) >= need);
    assert(a_strong_read_sees_what_was_acknowledged)
}
#endif

init {
    byte i = 1;
    atomic {
        run Fresh();
        run Fold();
        run Collector();
#ifdef READER
        run Reader();
#endif
        do
        :: i <= LATE -> run Late(i); i++
        :: else -> break
        od
    }
}
