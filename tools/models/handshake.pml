/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * The handshake of the control CPU and one AP: every attempt to bring the AP up, the first kick,
 * the retries, and whatever the AP may do meanwhile. docs/design.md says what it shows and what
 * not. The words are the AP's own, so one AP is enough.
 *
 *   spin -a handshake.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan -m100000
 *
 * Memory is sequentially consistent here; what makes that so on hardware is argued in the document.
 * WFE is at its worst: SEV ends it and nothing else does, no store and no chance.
 *
 * Each of these breaks the handshake on purpose, and the verifier has to find it:
 *
 *   -DNO_RETRY_REPORT	the AP waits for its release only and does not see that it is kicked again
 *   -DSTALE_ALIVE	a retry leaves the AP in ALIVE instead of taking it back to KICKED
 *   -DRELEASE_BEFORE_ALIVE	the control CPU releases without having seen ALIVE
 *   -DFAIL_AFTER_RELEASE	the AP may find that it does not fit after its release
 *   -DRESET_ON_RETRY	a retry resets the boot status of an AP that is on its way
 *   -DNO_SEV		nothing wakes the AP up
 *   -DSTATUS_BEFORE_NOTE	the AP sets its boot status before it leaves its note
 *   -DTWO_REPORTS	the kick of an AP that has failed is reported, and once more by the wait
 *
 * Two are questions about the series rather than mutations of it. Where the document says that the
 * answer is no, the test expects a failure, so that it cannot become outdated unnoticed:
 *
 *   -DASK_FRESH_CHECK	has an AP that is released in an attempt always been checked in it?
 *   -DNO_CPU_DIE	without a way to leave the kernel, is no AP taken for off that is not?
 *
 * and -DARRIVED_STATE and -DKILL_ME_IF_IT_CAN are what would make the answers yes.
 */

#define ATTEMPTS	3

mtype:sync = { DEAD, KICKED, ARRIVED, ALIVE, SHOULD_ONLINE, ONLINE };
mtype:status = { SUCCESS, MMU_OFF, KILL_ME, STUCK };

/* What control CPU and AP share */
mtype:sync sync = DEAD;			/* cpuhp_state.ap_sync_state */
mtype:status status = SUCCESS;		/* secondary_data.status */
mtype:status early = SUCCESS;		/* __early_cpu_boot_status[cpu] */
bool note;				/* secondary_data.misfit is filled in */
bool event;				/* the AP's event register */

/* The world */
bool on;				/* firmware was asked to start the AP, and it is not off */
bool lost;				/* it is never going to arrive */

/* What the properties are about */
byte attempt;
byte alive_for;				/* the attempt in which the AP set ALIVE last */
byte checked_for;			/* the attempt in which the AP was last checked */
byte releases;				/* in this attempt */
byte reports;				/* likewise */

inline sev() {
#ifndef NO_SEV
	event = true
#else
	skip
#endif
}

/* atomic_cond_read_acquire(st, VAL != SYNC_STATE_ALIVE), with __cmpwait() */
inline wait_while_alive() {
	do
	:: seen = sync;
	   if
#ifdef NO_RETRY_REPORT
	   :: seen == SHOULD_ONLINE -> break
#else
	   :: seen != ALIVE -> break
#endif
	   :: else
	   fi;
	   event = true;		/* sevl */
	   event -> event = false;	/* wfe */
	   if
	   :: sync != seen		/* ldxr, cbnz */
	   :: else -> event -> event = false
	   fi
	od
}

/* cpu_die_early(), or cpu_panic_kernel() as far as the handshake is concerned */
inline fail() {
#ifdef STATUS_BEFORE_NOTE
	status = STUCK;
	note = true
#else
	note = true;
#if !defined(NO_CPU_DIE) || !defined(KILL_ME_IF_IT_CAN)
	status = KILL_ME;
#endif
#ifndef NO_CPU_DIE
	if
	:: on = false; goto gone
	:: skip				/* CPU_OFF returned */
	fi;
#endif
	status = STUCK
#endif
}

proctype ap() {
	mtype:sync seen;

	if
	:: lost = true; goto gone	/* firmware has lost it */
	:: skip				/* it arrives, at any time from now on */
	fi;

	/* head.S, MMU off */
	if
	:: early = STUCK; goto gone
	:: skip
	fi;

again:
#ifdef ARRIVED_STATE
	sync = ARRIVED;
#endif
	/* check_local_cpu_capabilities() */
	checked_for = attempt;
	if
	:: fail(); goto gone
	:: skip
	fi;
	status = SUCCESS;

	/* cpuhp_ap_try_sync_alive() */
#ifdef ARRIVED_STATE
	atomic {
		if
		:: sync == ARRIVED -> sync = ALIVE; alive_for = attempt
		:: else -> goto again
		fi
	};
#else
	d_step { sync = ALIVE; alive_for = attempt };
#endif
	wait_while_alive();
	if
	:: seen == KICKED -> goto again
	:: else -> assert(seen == SHOULD_ONLINE)
	fi;
#ifdef FAIL_AFTER_RELEASE
	if
	:: fail(); goto gone
	:: skip
	fi;
#endif
	sync = ONLINE;
gone:
	skip
}

/* arch_cpuhp_ap_has_failed(): status first, then the early one */
#define has_failed	((status == MMU_OFF && early != SUCCESS) || \
			 (status != MMU_OFF && status != SUCCESS))

proctype control() {
	mtype:sync old;
	bool kicked, present = true, refused;

attempts:
	do
	:: attempt == ATTEMPTS || !present -> break
	:: else ->
		d_step { attempt++; reports = 0; releases = 0 };

		/* cpuhp_can_boot_ap() */
		old = sync;
		do
		:: assert(old == DEAD || old == KICKED || old == ARRIVED || old == ALIVE);
		   atomic {
			if
#ifdef STALE_ALIVE
			:: old == ALIVE -> break
#endif
			:: sync == old -> sync = KICKED; break
			:: else -> old = sync
			fi
		   }
		od;

		/* arch_cpuhp_kick_ap_alive() */
		if
		:: kicked ->
			if
			:: has_failed ->
				reports++;
#ifdef TWO_REPORTS
				goto wait
#else
				goto over
#endif
			:: else
			fi;
#ifdef RESET_ON_RETRY
			status = MMU_OFF;
#endif
			if
			:: status == SUCCESS -> sev(); goto wait
			:: else
			fi
		:: else -> status = MMU_OFF
		fi;
		/* The enable method. A CPU that is on gets ALREADY_ON or ON_PENDING. */
		atomic {
			if
			:: !on && !kicked ->
				if
				:: on = true; refused = false; run ap()
				:: refused = true
				fi
			:: else -> refused = !kicked
			fi
		};
		if
		:: refused -> reports++; goto over
		:: else -> kicked = true
		fi;

		/* cpuhp_bp_sync_alive() */
wait:
		if
#ifdef RELEASE_BEFORE_ALIVE
		:: true -> atomic { sync = SHOULD_ONLINE; releases++;
				    assert(alive_for == attempt) };
		   goto released
#endif
		:: atomic { sync == ALIVE -> sync = SHOULD_ONLINE; releases++;
			    /* For this attempt, and once */
			    assert(alive_for == attempt);
#ifdef ASK_FRESH_CHECK
			    assert(checked_for == attempt);
#endif
			    assert(releases == 1) };
		   goto released
		:: has_failed
		/*
		 * The time is over, which can be at any time. Only in the last attempt it is not
		 * over as long as the AP can be expected to do something: if it then did nothing,
		 * both would wait for ever, and the verifier would say so.
		 */
		:: attempt < ATTEMPTS || lost
		fi;

		/* arch_cpuhp_report_failed_ap() */
		reports++;
		if
		:: status == KILL_ME ->
			/* Who reads the status reads the note after it */
			assert(note);
			/* op_cpu_kill(): firmware says whether it is off, or takes too long */
			if
#ifdef NO_CPU_DIE
			:: assert(!on); present = false
#else
			:: !on -> kicked = false; present = false
			:: true
#endif
			fi
		:: status == STUCK -> assert(note)
		:: else
		fi;
over:
		assert(reports == 1);
		goto attempts;
released:
		kicked = false;
		sev();
		/* bringup_wait_for_ap_online(): no time limit */
		sync == ONLINE;
		assert(reports == 0 && releases == 1);
		break
	od
}

init {
	run control()
}
