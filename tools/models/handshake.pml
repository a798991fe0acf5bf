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
 *   -DNO_ARRIVED	the AP sets ALIVE without looking whether it was kicked since its check
 *   -DLOSE_RELEASE	the AP forgets when it arrives that it has been released in advance
 *   -DNO_REVOKE		the control CPU gives up and leaves the release in advance as it is
 *   -DBLIND_REVOKE	it gives up although the AP has made use of the release
 *   -DFAIL_AFTER_RELEASE	the AP may find that it does not fit after its release
 *   -DNO_SECOND_CALL	firmware is not asked again for an AP that waits
 *   -DRESET_ON_RETRY	a retry resets the boot status of an AP that is on its way
 *   -DNO_SEV		nothing wakes the AP up
 *   -DSTATUS_BEFORE_NOTE	the AP sets its boot status before it leaves its note
 *   -DTWO_REPORTS	the kick of an AP that has failed is reported, and once more by the wait
 *   -DALWAYS_KILL_ME	an AP that cannot leave the kernel says that it does
 *
 * With -DNO_CPU_DIE there is no way to leave the kernel, as with a spin-table.
 */

#define ATTEMPTS	3

mtype:sync = { DEAD, KICKED, ARRIVED, ALIVE, SHOULD_ONLINE, ONLINE };
mtype:status = { SUCCESS, MMU_OFF, KILL_ME, STUCK };

/* What control CPU and AP share */
mtype:sync sync = DEAD;			/* cpuhp_state.ap_sync_state ... */
bool released;				/* ... and SYNC_RELEASED in the same word */
mtype:status status = SUCCESS;		/* secondary_data.status */
mtype:status early = SUCCESS;		/* __early_cpu_boot_status[cpu] */
bool note;				/* secondary_data.misfit is filled in */
bool event;				/* the AP's event register */

/* The world */
bool on;				/* firmware was asked to start the AP, and it is not off */
bool lost;				/* it is never going to arrive */
byte lives;				/* how often firmware has started it */

/* What the properties are about */
byte attempt;
byte checked_for;			/* the attempt in which the AP was last checked */
bool trying;				/* an attempt goes on */
bool waiting;				/* the control CPU waits for the AP */
bool let_go;				/* the AP goes on, and will not wait any more */
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
	/* A virtual CPU is unplugged, which no attempt can be under way for */
	:: atomic { !trying && sync == ALIVE -> on = false; goto gone }
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
	   :: else ->
		if
		:: event -> event = false
		/* The last attempt may have failed for what its last life has left */
		:: lives == 2 && attempt == ATTEMPTS && !trying -> goto gone
		fi
	   fi
	od
}

/* The AP was released: in this attempt, once, fit for it, and with somebody who waits for it. */
inline taken() {
	assert(waiting && !let_go);
	assert(checked_for == attempt);
	let_go = true
}

/* cpu_die_early(), or cpu_panic_kernel() as far as the handshake is concerned */
inline fail() {
#ifdef STATUS_BEFORE_NOTE
	status = STUCK;
	note = true
#else
	note = true;
#if !defined(NO_CPU_DIE) || defined(ALWAYS_KILL_ME)
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
	:: early = STUCK;
	   if
	   /* The status is an earlier attempt's, so nobody will look at this one */
	   :: status == SUCCESS -> lost = true
	   :: else
	   fi;
	   goto gone
	:: skip
	fi;

again:
	/* cpuhp_ap_arrive() */
	atomic {
		sync = ARRIVED;
#ifdef LOSE_RELEASE
		released = false
#endif
	};
	/* check_local_cpu_capabilities() */
	checked_for = attempt;
	if
	:: fail(); goto gone
	:: skip
	fi;
	status = SUCCESS;

	/* cpuhp_ap_try_sync_alive() */
	atomic {
		if
#ifndef NO_ARRIVED
		:: sync != ARRIVED -> goto again
#endif
		:: else ->
			if
			:: released -> sync = SHOULD_ONLINE; released = false
			:: else -> sync = ALIVE
			fi
		fi;
		/* Released in advance */
		if
		:: sync == SHOULD_ONLINE -> taken(); goto go
		:: else
		fi
	};
	wait_while_alive();
	if
	:: seen == KICKED -> goto again
	:: else -> assert(seen == SHOULD_ONLINE)
	fi;
go:
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
	bool kicked, present = true, refused, revoked;
	byte ticks;

attempts:
	do
	:: attempt == ATTEMPTS || !present -> break
	:: else ->
		d_step { attempt++; trying = true; reports = 0; ticks = 0 };

		/* cpuhp_can_boot_ap() */
		old = sync;
		do
		:: assert(!released);
		   assert(old == DEAD || old == KICKED || old == ARRIVED || old == ALIVE);
		   atomic {
			if
#ifdef STALE_ALIVE
			:: old == ALIVE -> break
#endif
			:: sync == old ->
				sync = KICKED;
				/* Its turn may be now or later */
				if
				:: released = true; waiting = true
				:: skip
				fi;
				break
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
				goto refuse
#endif
			:: else
			fi;
#ifdef RESET_ON_RETRY
			status = MMU_OFF;
#endif
			sev();
#ifdef NO_SECOND_CALL
			if
			:: status == SUCCESS -> goto wait
			:: else
			fi
#endif
		:: else -> status = MMU_OFF
		fi;
		/* The enable method. A CPU that is on gets ALREADY_ON or ON_PENDING. */
		atomic {
			if
			:: !on && lives < 2 ->
				if
				:: on = true; refused = false; lives++; run ap()
				:: refused = true
				fi
			/* Twice is enough to see */
			:: !on && lives == 2 -> lost = true; refused = false
			:: else -> refused = !kicked
			fi
		};
		if
		:: refused -> reports++; goto refuse
		:: else -> kicked = true
		fi;

wait:
		/* cpuhp_release_ap() */
		atomic {
			waiting = true;
			if
			:: sync == ALIVE -> sync = SHOULD_ONLINE; taken(); goto alive
			:: sync == KICKED || sync == ARRIVED -> released = true
			/* Released with its kick */
			:: else -> assert(let_go)
			fi
		};
		/* cpuhp_wait_for_released() */
		if
		:: sync == ONLINE -> goto online
		:: has_failed
		/* A tick, to see whether others should be kicked: it is waited again */
		:: ticks < 2 -> ticks++; goto revoke
		/*
		 * The time is over, which can be at any time. Only in the last attempt it is not
		 * over as long as the AP can be expected to do something: if it then did nothing,
		 * both would wait for ever, and the verifier would say so.
		 */
		:: attempt < ATTEMPTS || lost
		fi;
		ticks = 3;
revoke:
		/* cpuhp_revoke_release() */
		atomic {
#ifdef NO_REVOKE
			revoked = true;
#else
			revoked = released;
			released = false;
#endif
			waiting = !revoked
		};
		if
#ifndef BLIND_REVOKE
		:: !revoked -> sync == ONLINE; goto online
#endif
		:: else
		fi;
		/* What has been given up has not been let go */
		assert(!let_go);
		if
		:: ticks < 3 -> goto wait
		:: else
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
			/* op_cpu_kill() has nobody to ask */
			:: assert(!on); present = false
#else
			:: !on -> kicked = false; present = false
			:: true
#endif
			fi
		:: status == STUCK -> assert(note)
		:: else
		fi;
		goto over;
refuse:
		/*
		 * An AP that was on its way can have failed since it was looked at, and been started
		 * anew by the call above. Then the report was about its last life, and in this one
		 * it can have made use of a release with this kick.
		 */
		atomic {
			if
			:: let_go -> reports = 0; goto wait
			:: else -> released = false; waiting = false
			fi
		};
over:
		assert(reports == 1);
		trying = false;
		goto attempts;
alive:
		sev();
		/* No time limit */
		sync == ONLINE;
online:
		kicked = false;
		assert(reports == 0);
		break
	od
}

init {
	run control()
}
