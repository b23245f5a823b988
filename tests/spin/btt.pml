/*
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * btt.pml -- lanes, map, flog, reader slots, a store buffer and a power cut.
 *
 * A model of the write and read protocol of one arena, written from the
 * specification (BTT format, engine design), not from the engine: it says
 * whether the protocol is right, the crash explorer of tests/crash says
 * whether the engine follows it.  A write is
 *
 *	{data, first flog half} fence {second flog half} fence {map} fence ack
 *
 * with the map lock held from reading the old map entry until the map fence
 * has returned, and the same three fences for a batch of two sectors.
 *
 *
 * What is where
 *
 *   media    Each word exists twice, as the processors see it (c...) and as
 *            a power cut leaves it at worst (p...).  A block is two halves,
 *            so that a torn copy is visible; a flog record is two 8-byte
 *            halves, {lba, old} and {map, seq}, each stored at once; a map
 *            entry is one word.  A store changes c, a fence copies c to p
 *            for the words that its own thread flushed.  Whatever differs is
 *            dirty and may or may not survive.
 *   memory   Lane locks, map locks, each lane's free block, next slot and
 *            next sequence number; one reader slot a thread (RTT).
 *   buffers  A store to a reader slot first sits in the thread's store
 *            buffer, which holds one word and drains whenever it likes; a
 *            full fence waits until it is empty.  All other accesses are
 *            sequentially consistent: locks order them.
 *   ghosts   Which values each sector may have (see "Ghosts").
 *
 * The crash is an observer.  In every state it chooses what was persistent,
 * recovers, asserts, and goes back to where it was with nothing changed:
 * nothing runs after a power cut, so exploring it adds no states.  "One
 * crash, at any instant" is exactly what that means.
 *
 *
 * Steps
 *
 * STEP joins a fence with the stores after it, and a lock with the work that
 * cannot block after it, into one transition.  Nothing is lost: between two
 * fences guarantees do not change and possible images only grow, so the
 * images of a crash between a fence and the next store are among those just
 * before the fence; taking a lock later disturbs nobody; issuing a write
 * later and acknowledging it earlier only makes the specification stricter.
 * No STEP contains two waits, else it would hide deadlocks.  -DFINE=1 splits
 * all of them, and the run has one such configuration to check this claim.
 * A writer's copy is one transition because a reader's is two: that tears as
 * well.
 *
 * A word that is dirty is never stored again in the unbroken protocol, which
 * is asserted (X1_dirty).  So two values a word, p and c, are all that media
 * can hold, and no earlier store can come back.
 *
 *
 * Switches (-DNAME=VALUE)
 *
 *   NT     threads, 1 to 3            OPS     requests a thread makes
 *   OPS0   requests thread 0 makes, if other than OPS
 *   READERS, WRITERS  masks of threads that only read or only write
 *   NL     lanes, 1 to 4              NLBA    sectors, 2 or 3
 *   NML    map locks                  CRASH   1: explore power cuts
 *   BATCH  1: a write may also be all of sectors 0 and 1 under one commit
 *   LIFE2  1: after recovery one more write and one more power cut
 *   FAULT  1: one read fails and marks its map entry E;
 *          2: one map store fails after its flog record is durable
 *   ROLLBACK 1: recovery undoes a logged but unmapped write, as the kernel's
 *          documentation (not its code) describes
 *   NOPREFIX 1: halves of a flog line persist in any order
 *   SPIN   1: a writer that waits for readers polls (livelock run)
 *   SLEEP  1: such a writer sleeps and is woken (lost wake-up run)
 *   FINE   1: see "Steps"             MUT     the mutant to be, 0 for none;
 *          without MUT the verifier asks its environment, see MUTANT below
 */

#ifndef NT
#define NT 2
#endif
#ifndef OPS
#define OPS 1
#endif
#ifndef OPS0
#define OPS0 OPS
#endif
#ifndef READERS
#define READERS 0
#endif
#ifndef WRITERS
#define WRITERS 0
#endif
#ifndef NL
#define NL 2
#endif
#ifndef NLBA
#define NLBA 2
#endif
#ifndef NML
#define NML NLBA
#endif
#ifndef CRASH
#define CRASH 1
#endif
#ifndef BATCH
#define BATCH 0
#endif
#ifndef LIFE2
#define LIFE2 0
#endif
#ifndef FAULT
#define FAULT 0
#endif
#ifndef ROLLBACK
#define ROLLBACK 0
#endif
#ifndef NOPREFIX
#define NOPREFIX 0
#endif
#ifndef SPIN
#define SPIN 0
#endif
#ifndef SLEEP
#define SLEEP 0
#endif
#ifndef FINE
#define FINE 0
#endif

/*
 * Mutants.  -DMUT=M1 builds in the first.  The M numbers are those of the
 * project's mutation table (reliability study, 2.7); S are the model's own.
 * The run refuses a mutant of this list that it has no row for.
 */
#define M1	1	/* a free block is reused without looking for readers */
#define M2	2	/* no map lock */
#define M3	3	/* no lane lock */
#define M4	4	/* data is never flushed */
#define M5	5	/* flog is never flushed */
#define M6	6	/* map is never flushed */
#define M7	7	/* second flog half before the first */
#define M8	8	/* sequence number not written */
#define M9	9	/* flog slot not alternated, the newest overwritten */
#define M10	10	/* the new block, not the old one, goes free */
#define M11	11	/* reader does not look at the map again */
#define M12	12	/* reader looks again before its slot is visible */
#define M13	13	/* map points to the block before the data is there */
#define M14	14	/* reader never clears its slot */
#define M15	15	/* recovery does not redo the map */
#define M16	16	/* flush of data is half a block short */
#define M18	18	/* next sequence number equals the last */
#define M19	19	/* acknowledged before the map fence */
#define M20	20	/* acknowledged before the second half is fenced */
#define M21	21	/* map fence left to the lane's next data fence */
#define M22	22	/* recovery goes live without fencing its map stores */
#define M23	23	/* sequence number never wraps from 3 to 1 */
#define M24	24	/* writer does not look at the last reader slot (slots
			   belong to threads: "its own only" would be M1) */
#define M25	25	/* data written after the flog record */
#define M26	26	/* E set without map lock and second look */
#define M27	27	/* failed map store treated as a failed write only */
#define M28	28	/* map stored and fenced before the flog */
#define M30	30	/* a failed read leaves its slot published */
#define S1	41	/* one fence saved: {data, flog} {map} */
#define S2	42	/* one fence saved: {data, first half} {second, map} */
#define S3	43	/* {data} {both halves} {map} */
#define S4	44	/* sequence number stored with the first half */
#define S5	45	/* old map entry read before the map lock is taken */
#define S6	46	/* map lock given back before the map fence */
#define S7	47	/* lane given back before the map fence */
#define S8	48	/* readers are waited for after the data is copied */
#define S9	49	/* reader clears its slot before the second half */
#define S10	50	/* reader follows a changed map, slot unchanged */
#define S11	51	/* reader tries again with the block it saw first */
#define S12	52	/* recovery believes the older record */
#define S13	53	/* recovery redoes although the map has moved on */
#define S14	54	/* recovery takes the new block of each lane as free */
#define S15	55	/* recovery goes through lanes in descending order */
#define S16	56	/* error flag not looked at under the map lock */
#define S17	57	/* slot stays published when the second look finds E */
#define S18	58	/* readers are waited for under the map lock */
#define S19	59	/* no full fence between clearing and waking */
#define S20	60	/* batch: second lane by waiting, not by trylock */
#define S21	61	/* batch: map locks in no common order */
#define S22	62	/* batch: data fence covers the first sector only */
#define S23	63	/* batch: flog fence covers the first sector only */
#define S24	64	/* batch: map fence covers the first sector only */
#define S25	65	/* batch: readers of the second block not waited for */
#define S26	66	/* batch: one map lock for sectors that have two */
#define S27	67	/* E entry taken as a block number with its flag */
#define S28	68	/* error flag not looked at before the copy */
#define S29	69	/* readers are waited for before the map moves on */
#define S30	70	/* copy ends half a block short */
#define S31	71	/* recovery undoes a map store that it finds done */
#define S32	72	/* recovery starts lanes at the slot it believed */
#define S33	73	/* as M6, to be seen by X1_dirty and no power cut */

/*
 * Equivalent here, for these reasons:
 *
 *   S3 as long as a line persists in store order: both halves lie in one
 *      line, so the second cannot survive without the first, whatever the
 *      fence.  The same holds for sectors of page media.  It saves no fence
 *      and leans on the line, so the engine must not do it; -DNOPREFIX=1
 *      kills it.
 *   S15 because of the map lock: it is held until the map fence, hence at
 *      most one record a sector is not yet in the map, and records of
 *      different sectors do not meet.
 *   M19 under the kernel's recovery, which rolls forward: the record is
 *      durable, so the write is.  Under -DROLLBACK=1 it dies.  We
 *      acknowledge after the map fence so that either reader keeps the
 *      promise.
 *
 * Not built: M17 (flush without fence) is M4 here, a flush alone promises
 * nothing.
 */
#ifdef MUT
#define MUTANT(m)	(MUT == (m))
#define ASIDE		/* breadth-first search knows no hidden variables */
#else
/*
 * One verifier for all mutants of a configuration: it takes the number of
 * the mutant to be from the environment (MUTANT), so the very program that
 * finds nothing in the protocol finds the defect.
 */
#define ASIDE		hidden
c_decl {
	\#include <stdlib.h>
}
hidden byte mutant;
#define MUTANT(m)	(mutant == (m))
#endif
/* Mutants break the rule about dirty words where they should not. */
#define EXACT		(MUTANT(0) || MUTANT(S33))

#if FINE
#define STEP
#else
#define STEP	atomic
#endif
#if BATCH
#define MAXB	2
#else
#define MAXB	1
#endif

#define MAY_READ(t)	(!(WRITERS & (1 << (t))))
#define MAY_WRITE(t)	(!(READERS & (1 << (t))))
#define QUOTA(t)	((t) == 0 -> OPS0 : OPS)
#define NBLK		(NLBA + NL)
#define NONE		15	/* reader slot: nothing published */
#define NOSB		14	/* store buffer: empty */
#define E		64	/* flag of a map entry */
#define BLOCK(w)	((w) & 63)
#define VAL(l, v)	(((l) << 4) | (v))
#define LBA_OF(x)	((x) >> 4)
#define VER_OF(x)	((x) & 15)
#define JUNK		255	/* what an unused block holds: no sector's */
#define SUCC(q)		((q) == 3 -> 1 : (q) + 1)
#define MLOCK(l)	((l) % NML)

/*
 * Names for assertions: always false, so that a failing one is reported as
 * (I4_one_owner||...) and the run can say which invariant a mutant broke.
 * Numbers follow the specification (reliability study, 2.5).
 */
ASIDE byte I1_whole, I1_durable, I1_sector;
ASIDE byte I2_lost, I2_changed;
ASIDE byte I4_range, I4_one_owner;
ASIDE byte I5_sequence;
ASIDE byte I6_redo;
ASIDE byte I8_torn, I8_sector, I8_stale;
ASIDE byte X1_dirty;

/* One flog record and one lane's pair of them, as on media. */
typedef record {
	byte lba;	/* first half */
	byte old;
	byte map;	/* second half */
	byte seq
};
typedef pair {
	record s[2]
};

/* Media. */
byte c0[NBLK], c1[NBLK], p0[NBLK], p1[NBLK];
byte cmap[NLBA], pmap[NLBA];
pair cf[NL], pf[NL];
byte lastslot[NL];	/* slot stored to last: the line's store order */

/* Memory. */
bool lane[NL];
bool mlock[NML];
byte lfree[NL], lslot[NL], lseq[NL];
byte rtt[NT];
byte sb[NT];
byte nsleep, wakes;	/* SLEEP */
byte unfenced[NL];	/* M21: map entry + 1 that awaits a later fence */
bool failed;		/* the arena's error flag */
bool faulted;		/* the one fault has happened */
byte finished;

/*
 * Ghosts.  Version v of sector l is the v-th write issued to it, 0 its
 * content at the start; sets of versions are bit masks.
 *
 * ok[l] are the versions that a read beginning now, or a recovery from a
 * crash now, may return.  A version leaves it when a write that was issued
 * after that version was complete is itself acknowledged, or read: what a
 * reader has returned must not be lost either.
 */
byte issued[NLBA];	/* last version issued */
byte done[NLBA];	/* versions complete */
byte ok[NLBA];
byte wver[NT * NLBA];	/* version a thread is writing, 0 for none */
byte wsnap[NT * NLBA];	/* done[] when it was issued */

inline issue(t, l)
{
	issued[l]++;
	ok[l] = ok[l] | (1 << issued[l]);
	wver[t * NLBA + l] = issued[l];
	wsnap[t * NLBA + l] = done[l]
}

/* The write of sector l by thread t is known to the outside. */
inline settle(t, l)
{
	ok[l] = ok[l] & ~wsnap[t * NLBA + l]
}

inline acknowledge(t, l)
{
	settle(t, l);
	done[l] = done[l] | (1 << wver[t * NLBA + l]);
	wver[t * NLBA + l] = 0;
	wsnap[t * NLBA + l] = 0
}

/*
 * Stores and fences of a batch of n sectors.  Sector lb[i] goes to block
 * nw[i] on lane ln[i], whose record goes to slot lslot[ln[i]].
 */
inline put_data()
{
	d_step {
		for (i : 0 .. n - 1) {
			assert(X1_dirty || !EXACT ||
			    (c0[nw[i]] == p0[nw[i]] &&
			    c1[nw[i]] == p1[nw[i]]));
			c0[nw[i]] = VAL(lb[i], wver[me * NLBA + lb[i]]);
			if
			:: MUTANT(S30)
			:: else -> c1[nw[i]] = c0[nw[i]]
			fi;
			printf("T%d copies sector %d version %d to block %d\n",
			    me, lb[i], wver[me * NLBA + lb[i]], nw[i])
		}
		i = 0
	}
}

inline read_old()
{
	d_step {
		for (i : 0 .. n - 1) {
			was[i] = (MUTANT(S27) -> cmap[lb[i]] :
			    BLOCK(cmap[lb[i]]))
		}
		i = 0
	}
}

inline put_first()
{
	d_step {
		for (i : 0 .. n - 1) {
			k = lslot[ln[i]];
			assert(X1_dirty || !EXACT ||
			    (cf[ln[i]].s[k].lba == pf[ln[i]].s[k].lba &&
			    cf[ln[i]].s[k].old == pf[ln[i]].s[k].old));
			cf[ln[i]].s[k].lba = lb[i];
			cf[ln[i]].s[k].old = was[i];
			if
			:: MUTANT(S4) -> cf[ln[i]].s[k].seq = lseq[ln[i]]
			:: else
			fi;
			lastslot[ln[i]] = k;
			printf("T%d lane %d slot %d: first half {%d, %d}\n",
			    me, ln[i], k, lb[i], was[i])
		}
		i = 0;
		k = 0
	}
}

inline put_second()
{
	d_step {
		for (i : 0 .. n - 1) {
			k = lslot[ln[i]];
			assert(X1_dirty || !EXACT ||
			    (cf[ln[i]].s[k].map == pf[ln[i]].s[k].map &&
			    cf[ln[i]].s[k].seq == pf[ln[i]].s[k].seq));
			cf[ln[i]].s[k].map = nw[i];
			if
			:: !MUTANT(M8) -> cf[ln[i]].s[k].seq = lseq[ln[i]]
			:: else
			fi;
			lastslot[ln[i]] = k;
			printf("T%d lane %d slot %d: second half {%d, %d}\n",
			    me, ln[i], k, nw[i], lseq[ln[i]])
		}
		i = 0;
		k = 0
	}
}

inline put_map()
{
	d_step {
		for (i : 0 .. n - 1) {
			assert(X1_dirty || !EXACT ||
			    cmap[lb[i]] == pmap[lb[i]]);
			cmap[lb[i]] = nw[i];
			printf("T%d map[%d] = %d\n", me, lb[i], nw[i])
		}
		i = 0
	}
}

inline fence_data()
{
	d_step {
		for (i : 0 .. n - 1) {
			if
			:: MUTANT(M4) || (MUTANT(S22) && i > 0)
			:: else ->
				p0[nw[i]] = c0[nw[i]];
				printf("T%d fence: block %d\n", me, nw[i]);
				if
				:: MUTANT(M16)
				:: else -> p1[nw[i]] = c1[nw[i]]
				fi
			fi
		}
		i = 0
	}
}

/* A flush takes the whole line, that is both slots of the lane. */
inline fence_flog()
{
	d_step {
		for (i : 0 .. n - 1) {
			if
			:: MUTANT(M5) || (MUTANT(S23) && i > 0)
			:: else ->
				printf("T%d fence: lane %d\n", me, ln[i]);
				for (k : 0 .. 1) {
					pf[ln[i]].s[k].lba = cf[ln[i]].s[k].lba;
					pf[ln[i]].s[k].old = cf[ln[i]].s[k].old;
					pf[ln[i]].s[k].map = cf[ln[i]].s[k].map;
					pf[ln[i]].s[k].seq = cf[ln[i]].s[k].seq
				}
			fi
		}
		i = 0;
		k = 0
	}
}

inline fence_map()
{
	d_step {
		for (i : 0 .. n - 1) {
			if
			:: MUTANT(M6) || MUTANT(S33) || (MUTANT(S24) && i > 0)
			:: MUTANT(M21) -> unfenced[ln[i]] = lb[i] + 1
			:: else ->
				pmap[lb[i]] = cmap[lb[i]];
				printf("T%d fence: map[%d]\n", me, lb[i])
			fi
		}
		i = 0
	}
}

/* M21: what an earlier write on these lanes left to this fence. */
inline fence_leftover()
{
	d_step {
		for (i : 0 .. n - 1) {
			if
			:: unfenced[ln[i]] != 0 ->
				pmap[unfenced[ln[i]] - 1] =
				    cmap[unfenced[ln[i]] - 1];
				unfenced[ln[i]] = 0
			:: else
			fi
		}
		i = 0
	}
}

/* Locks. */
#define LANE_FREE(l)	(!lane[l] || MUTANT(M3))
#define MLOCK_FREE(l)	(!mlock[MLOCK(l)] || MUTANT(M2))

#if NL == 1
#define ANY_LANE	LANE_FREE(0)
#elif NL == 2
#define ANY_LANE	(LANE_FREE(0) || LANE_FREE(1))
#elif NL == 3
#define ANY_LANE	(LANE_FREE(0) || LANE_FREE(1) || LANE_FREE(2))
#else
#define ANY_LANE \
	(LANE_FREE(0) || LANE_FREE(1) || LANE_FREE(2) || LANE_FREE(3))
#endif

/* Any free lane: whatever the engine prefers is one of these choices. */
inline lane_take(j)
{
	if
	:: LANE_FREE(0) -> ln[j] = 0
#if NL > 1
	:: LANE_FREE(1) -> ln[j] = 1
#endif
#if NL > 2
	:: LANE_FREE(2) -> ln[j] = 2
#endif
#if NL > 3
	:: LANE_FREE(3) -> ln[j] = 3
#endif
	fi;
	lane[ln[j]] = true;
	nw[j] = lfree[ln[j]];
	printf("T%d takes lane %d with block %d\n", me, ln[j], nw[j])
}

/* The block replaced becomes the lane's free one; its pair moves on. */
inline lanes_advance()
{
	d_step {
		for (i : 0 .. n - 1) {
			lfree[ln[i]] = (MUTANT(M10) -> nw[i] : was[i]);
			lslot[ln[i]] = (MUTANT(M9) -> lslot[ln[i]] :
			    1 - lslot[ln[i]]);
			if
			:: MUTANT(M18)
			:: MUTANT(M23) -> lseq[ln[i]]++
			:: else -> lseq[ln[i]] = SUCC(lseq[ln[i]])
			fi
		}
		i = 0
	}
}

inline lanes_leave()
{
	d_step {
		for (i : 0 .. n - 1) {
			lane[ln[i]] = false
		}
		i = 0
	}
}

inline maps_unlock()
{
	d_step {
		for (i : 0 .. n - 1) {
			mlock[MLOCK(lb[i])] = false
		}
		i = 0
	}
}

inline acknowledge_all()
{
	d_step {
		for (i : 0 .. n - 1) {
			if
			:: wver[me * NLBA + lb[i]] != 0 ->
				printf("T%d acknowledges sector %d\n",
				    me, lb[i]);
				acknowledge(me, lb[i])
			:: else
			fi
		}
		i = 0
	}
}

/* Locals go back to zero so that equal situations are equal states. */
inline forget()
{
	d_step {
		for (i : 0 .. MAXB - 1) {
			ln[i] = 0;
			lb[i] = 0;
			nw[i] = 0;
			was[i] = 0
		}
		i = 0;
		n = 0;
		k = 0
	}
}

/*
 * A store to the own reader slot.  The buffer has room for one word: an
 * older one leaves first.
 */
inline slot_store(v)
{
	d_step {
		if
		:: sb[me] != NOSB -> rtt[me] = sb[me]
		:: else
		fi;
		sb[me] = v;
		printf("T%d buffers slot = %d\n", me, v)
	}
}

#define FENCED		(sb[me] == NOSB)
/* Slot k of the scan: all slots for the first block, then for the second. */
#define SCAN_END	((MUTANT(S25) -> NT : n * NT) - \
			    (MUTANT(M24) -> 1 : 0))
#define SCAN_BUSY	(rtt[k % NT] == nw[k / NT])

/* The own slot needs no look: who writes does not read. */
inline scan_skip_own()
{
	do
	:: k < n * NT && k % NT == me -> k++
	:: else -> break
	od
}

/* End of a read: ghosts only. */
inline read_returns(x)
{
	assert(I8_sector || LBA_OF(x) == lba);
	assert(I8_stale || !(stale & (1 << VER_OF(x))));
	if
	:: !ROLLBACK ->
		for (i : 0 .. NT - 1) {
			if
			:: wver[i * NLBA + lba] != 0 &&
			    wver[i * NLBA + lba] == VER_OF(x) ->
				settle(i, lba)
			:: else
			fi
		}
		i = 0
	:: else
	fi
}

/* One worker: OPS requests, each of any kind. */
proctype worker(byte me)
{
	byte nops;
	byte i, k;
	/* A read. */
	byte lba, m, half, stale;
	/* A batch of n sectors; left is the mask of those still to write. */
	byte n, left, gen;
	byte ln[MAXB], lb[MAXB], nw[MAXB], was[MAXB];

next:
	atomic {
		if
		:: nops == QUOTA(me) ->
			nops = 0;
			finished++;
			goto out
		:: nops < QUOTA(me) ->
			nops++;
			if
			:: MAY_READ(me) -> goto read
			:: MAY_WRITE(me) -> left = 1; goto write
			:: MAY_WRITE(me) -> left = 2; goto write
#if NLBA > 2
			:: MAY_WRITE(me) -> left = 4; goto write
#endif
#if BATCH
			:: MAY_WRITE(me) -> left = 3; goto write
#endif
			fi
		fi
	};

read:
	/* R1: look at the map, publish the block (into the buffer). */
	STEP {
		atomic {
			if
			:: lba = 0
			:: lba = 1
#if NLBA > 2
			:: lba = 2
#endif
			fi;
			stale = ((1 << (issued[lba] + 1)) - 1) & ~ok[lba]
		};
		d_step {
			m = cmap[lba];
			printf("T%d reads sector %d, the map says %d\n",
			    me, lba, m)
		};
		if
		:: m & E -> goto read_done
		:: else -> slot_store(m)
		fi
	};
look_again:
	/*
	 * R2: once the slot is visible to all, look at the map again.
	 * Unchanged: any writer that gets this block from now on sees the
	 * slot.  Changed: start over with the new block.
	 */
	atomic {
		FENCED || MUTANT(M12);
		printf("T%d looks again, the map says %d\n", me, cmap[lba]);
		if
		:: cmap[lba] == m || MUTANT(M11)
		:: else ->
			if
			:: MUTANT(S11)
			:: else -> m = cmap[lba]
			fi;
			if
			:: m & E ->
				if
				:: MUTANT(S17)
				:: else -> slot_store(NONE)
				fi;
				goto read_cleared
			:: MUTANT(S10)
			:: else -> slot_store(m); goto look_again
			fi
		fi
	};
	/* R3, R4: copy half by half, clear the slot, answer. */
	if
	:: atomic {
		half = c0[m];
		printf("T%d first half of block %d: version %d of sector %d\n",
		    me, m, VER_OF(half), LBA_OF(half));
		if
		:: MUTANT(S9) -> slot_store(NONE)
		:: else
		fi
	   }
#if FAULT & 1
	:: atomic { !faulted -> faulted = true }; goto read_error
#endif
	fi;
	atomic {
		d_step {
			printf("T%d second half: version %d of sector %d\n",
			    me, VER_OF(c1[m]), LBA_OF(c1[m]));
			assert(I8_torn || half == c1[m]);
			read_returns(half);
			half = 0
		};
		if
		:: MUTANT(M14)
		:: else -> slot_store(NONE)
		fi;
		goto read_cleared
	};

#if FAULT & 1
read_error:
	/*
	 * The block is unreadable.  Mark the entry under its map lock, if it
	 * still names that block; the slot stays published meanwhile.
	 */
	atomic {
		MLOCK_FREE(lba) || MUTANT(M26);
		if
		:: MUTANT(M26) -> cmap[lba] = m | E
		:: else ->
			mlock[MLOCK(lba)] = true;
			if
			:: cmap[lba] == m ->
				assert(X1_dirty || !EXACT ||
				    cmap[lba] == pmap[lba]);
				cmap[lba] = m | E;
				printf("T%d map[%d] = E, %d\n", me, lba, m)
			:: else
			fi
		fi
	};
	atomic {
		pmap[lba] = cmap[lba];
		if
		:: MUTANT(M26)
		:: else -> mlock[MLOCK(lba)] = false
		fi;
		if
		:: MUTANT(M30)
		:: else -> slot_store(NONE)
		fi
	};
#endif
read_cleared:
#if SLEEP
	/* Cleared: wake writers, if the clearing is visible by now. */
	atomic {
		FENCED || MUTANT(S19);
		if
		:: nsleep > 0 -> wakes++
		:: else
		fi
	};
#endif
read_done:
	atomic {
		lba = 0;
		m = 0;
		stale = 0;
		goto next
	};

write:
	/* W1: the write is issued; a lane, by waiting. */
	STEP {
		d_step {
			n = 1;
			lb[0] = (left & 1 -> 0 : (left & 2 -> 1 : 2));
			issue(me, lb[0])
		};
		atomic {
			lane_take(0);
			if
			:: left != 3 -> goto wait_readers
			:: else
			fi
		}
	};
#if BATCH
	/* W1b: a second lane by trylock; without it, one sector at a time. */
	if
	:: atomic {
		ANY_LANE -> lane_take(1);
		n = 2;
		lb[1] = 1;
		issue(me, lb[1])
	   }
	:: atomic {
		!ANY_LANE && !MUTANT(S20) -> skip
	   }
	fi;
#endif
wait_readers:
	/* W2: the free block may still be read under its former sector. */
	atomic {
		if
		:: MUTANT(S8) -> put_data()
		:: else
		fi;
		if
		:: MUTANT(M1) -> k = n * NT
		:: MUTANT(S18) || MUTANT(S29) -> k = n * NT
		:: else -> scan_skip_own()
		fi
	};
	do
	:: atomic {
		k < SCAN_END && !SCAN_BUSY -> k++;
		scan_skip_own()
	   }
#if SPIN
	:: k < SCAN_END && SCAN_BUSY -> skip
#endif
#if SLEEP
	:: atomic { k < SCAN_END && SCAN_BUSY -> nsleep++; gen = wakes };
		if
		:: atomic { SCAN_BUSY -> skip }; wakes != gen
		:: !SCAN_BUSY
		fi;
		atomic { nsleep--; gen = 0 }
#endif
	:: atomic {
		k >= SCAN_END -> k = 0;
		break
	   }
	od;

	/* W3: the copy. */
	atomic {
#if FAULT & 2
		/*
		 * Not into the free block of a lane whose record is waiting
		 * for recovery: recovery will map it (see W6).
		 */
		if
		:: failed && !MUTANT(S28) && !MUTANT(M27) -> goto refused
		:: else
		fi;
#endif
		if
		:: MUTANT(M13) || MUTANT(M25) || MUTANT(S8) || MUTANT(S18)
		:: else -> put_data()
		fi;
		if
		:: MUTANT(S5) -> read_old()
		:: else
		fi
	};

	/* W4: map locks in ascending order, old entry, first flog half. */
#if BATCH
	if
	:: n == 2 && MLOCK(lb[1]) != MLOCK(lb[0]) ->
		if
		:: MUTANT(S21) && me % 2 == 1 ->
			atomic {
				MLOCK_FREE(lb[1]) ->
				mlock[MLOCK(lb[1])] = true
			}
		:: else ->
			atomic {
				MLOCK_FREE(lb[0]) ->
				mlock[MLOCK(lb[0])] = true
			}
		fi;
		if
		:: MUTANT(S26)
		:: MUTANT(S21) && me % 2 == 1 ->
			atomic {
				MLOCK_FREE(lb[0]) ->
				mlock[MLOCK(lb[0])] = true
			}
		:: else ->
			atomic {
				MLOCK_FREE(lb[1]) ->
				mlock[MLOCK(lb[1])] = true
			}
		fi
	:: else ->
		atomic {
			MLOCK_FREE(lb[0]) -> mlock[MLOCK(lb[0])] = true
		}
	fi;
#endif
	STEP {
#if !BATCH
		atomic {
			MLOCK_FREE(lb[0]) -> mlock[MLOCK(lb[0])] = true
		};
#endif
#if FAULT & 2
		/*
		 * Who waited for this map lock may have waited for the write
		 * that failed.  Its sector must not be logged again before
		 * recovery: two newest records would call one block free.
		 */
		if
		:: failed && !MUTANT(S16) && !MUTANT(M27) ->
			maps_unlock();
			goto refused
		:: else
		fi;
#endif
		if
		:: MUTANT(S5)
		:: else -> read_old()
		fi;
		if
		:: MUTANT(M13) -> put_map(); put_first()
		:: MUTANT(M28) -> put_map(); fence_map(); put_first()
		:: MUTANT(M7) -> put_second()
		:: MUTANT(S18) || MUTANT(S29) -> put_first(); goto wait_late
		:: else -> put_first()
		fi
	};
commit:
	/* W5: first fence, then the half that commits. */
	STEP {
		if
		:: MUTANT(S1)
		:: else ->
			fence_data();
			if
			:: MUTANT(S3)
			:: else -> fence_flog()
			fi;
			if
			:: MUTANT(M21) -> fence_leftover()
			:: else
			fi
		fi;
		if
		:: MUTANT(M13) -> put_data(); put_second()
		:: MUTANT(M7) -> put_first()
		:: else -> put_second()
		fi;
		if
		:: MUTANT(M20) -> acknowledge_all()
		:: else
		fi
	};

	/* W6: second fence, then the map: readers see the new block. */
	STEP {
		if
		:: MUTANT(S2)
		:: MUTANT(S1) || MUTANT(M13) -> fence_data(); fence_flog()
		:: else -> fence_flog()
		fi;
		if
		:: MUTANT(M25) -> put_data()
		:: else
		fi;
#if FAULT & 2
		if
		:: !faulted ->
			/*
			 * The map store failed.  The record is durable and
			 * recovery will complete it, until then the lane must
			 * not be used again: the arena is failed before any
			 * lock is given back.
			 */
			faulted = true;
			printf("T%d fails to store map[%d]\n", me, lb[0]);
			if
			:: MUTANT(M27) -> lanes_advance()
			:: else -> failed = true
			fi;
			maps_unlock();
			goto refused
		:: true
		fi;
#endif
		if
		:: MUTANT(M13) || MUTANT(M28)
		:: else -> put_map()
		fi;
		if
		:: MUTANT(M19) -> acknowledge_all()
		:: MUTANT(S6) -> maps_unlock()
		:: MUTANT(S7) -> lanes_advance(); lanes_leave()
		:: else
		fi
	};

	/* W7: third fence; only now the locks, the lanes, the answer. */
	STEP {
		if
		:: MUTANT(S2) -> fence_flog()
		:: MUTANT(M25) -> fence_data()
		:: else
		fi;
		fence_map();
		if
		:: MUTANT(S7)
		:: else -> lanes_advance()
		fi;
		if
		:: MUTANT(S6)
		:: else -> maps_unlock()
		fi;
		if
		:: MUTANT(S7)
		:: else -> lanes_leave()
		fi;
		acknowledge_all();
		d_step {
			for (i : 0 .. n - 1) {
				left = left & ~(1 << lb[i])
			}
			i = 0
		};
		forget()
	};
	if
	:: left != 0 -> goto write
	:: else -> goto next
	fi;

#if FAULT & 2
refused:
	/* EIO: the write was never acknowledged; it may or may not happen. */
	atomic {
		lanes_leave();
		d_step {
			for (i : 0 .. n - 1) {
				wver[me * NLBA + lb[i]] = 0;
				wsnap[me * NLBA + lb[i]] = 0
			}
			i = 0
		};
		left = 0;
		forget();
		goto next
	};
#endif
wait_late:
	/* S18, S29: the wait of W2 in the wrong place. */
	atomic { k = 0; scan_skip_own() };
	do
	:: atomic {
		k < SCAN_END && rtt[k % NT] !=
		    (MUTANT(S18) -> nw[k / NT] : was[k / NT]) -> k++;
		scan_skip_own()
	   }
	:: atomic {
		k >= SCAN_END -> k = 0;
		if
		:: MUTANT(S18) -> put_data()
		:: else
		fi;
		goto commit
	   }
	od;
out:
	skip
}

inline drain_one(t)
{
	atomic {
		sb[t] != NOSB ->
		printf("T%d slot = %d is visible\n", t, sb[t]);
		rtt[t] = sb[t];
		sb[t] = NOSB
	}
}

/* Store buffers drain whenever they like. */
proctype drain()
{
end_drain:
	do
	:: drain_one(0)
#if NT > 1
	:: drain_one(1)
#endif
#if NT > 2
	:: drain_one(2)
#endif
	od
}

/* Map plus free blocks are a permutation of all blocks. */
inline check_owners()
{
	x = 0;
	for (a : 0 .. NLBA - 1) {
		b = BLOCK(rm[a]);
		assert(I4_range || b < NBLK);
		assert(I4_one_owner || !(x & (1 << b)));
		x = x | (1 << b)
	}
	for (a : 0 .. NL - 1) {
		b = rfree[a];
		assert(I4_range || b < NBLK);
		assert(I4_one_owner || !(x & (1 << b)));
		x = x | (1 << b)
	}
}

#if CRASH
/*
 * Recovery of image {imap, ig} as the kernel does it (format, 4.1): lanes in
 * ascending order; the newer record names the lane's free block; if the map
 * still has the old block of the record's sector, it gets the new one.
 * Result: rm the map, rfree the free blocks, rslot and rseq what the lanes
 * write next.
 */
inline recover()
{
	d_step {
		for (a : 0 .. NLBA - 1) {
			rm[a] = imap[a]
		}
		for (b : 0 .. NL - 1) {
			a = (MUTANT(S15) -> NL - 1 - b : b);
			x = ig[a].s[0].seq;
			y = ig[a].s[1].seq;
			assert(I5_sequence ||
			    (x == 1 && y == 0) || (x == 0 && y == 1) ||
			    (x == 1 && y == 2) || (x == 2 && y == 1) ||
			    (x == 2 && y == 3) || (x == 3 && y == 2) ||
			    (x == 3 && y == 1) || (x == 1 && y == 3));
			if
			:: y == 0 -> s = 0
			:: x == 0 -> s = 1
			:: x != 0 && y != 0 -> s = (SUCC(x) == y -> 1 : 0)
			fi;
			if
			:: MUTANT(S12) && x != 0 && y != 0 -> s = 1 - s
			:: else
			fi;
			rfree[a] = ig[a].s[s].old;
			printf("recovery: lane %d slot %d is newest\n", a, s);
			rslot[a] = (MUTANT(S32) -> s : 1 - s);
			rseq[a] = SUCC(ig[a].s[s].seq);
			x = ig[a].s[s].lba;
			if
			:: ig[a].s[s].old == ig[a].s[s].map
			:: else ->
				assert(I4_range || x < NLBA);
				if
				:: MUTANT(S14) -> rfree[a] = ig[a].s[s].map
				:: else
				fi;
				if
				:: BLOCK(rm[x]) == ig[a].s[s].map ->
					if
					:: MUTANT(S31) -> rm[x] = ig[a].s[s].old
					:: else
					fi
				:: BLOCK(rm[x]) != ig[a].s[s].map &&
				    BLOCK(rm[x]) != ig[a].s[s].old &&
				    !MUTANT(S13)
				:: else ->
					if
					:: MUTANT(M15)
					:: ROLLBACK ->
						rfree[a] = ig[a].s[s].map
					:: else -> rm[x] = ig[a].s[s].map;
						printf("redo: map[%d] = %d\n",
						    x, rm[x])
					fi
				fi
			fi
		}
		a = 0;
		b = 0;
		x = 0;
		y = 0;
		s = 0
	}
}

/*
 * Data is looked at last, and only where the recovered map points: recovery
 * itself reads none.  A half that is dirty there may or may not have made it
 * and is torn in one of the cases, so it must not be dirty.
 */
inline check_data(l, bb)
{
	assert(I1_durable || (c0[bb] == p0[bb] && c1[bb] == p1[bb]));
	assert(I1_whole || p0[bb] == p1[bb]);
	assert(I1_sector || LBA_OF(p0[bb]) == l)
}

/* A dirty half of lane a's line; what follows it needs it, in store order. */
inline persist_first(sl)
{
	if
	:: pf[a].s[sl].lba == cf[a].s[sl].lba &&
	    pf[a].s[sl].old == cf[a].s[sl].old
	:: else ->
		if
		:: !y || NOPREFIX ->
			ig[a].s[sl].lba = cf[a].s[sl].lba;
			ig[a].s[sl].old = cf[a].s[sl].old
		:: y = 1
		fi
	fi
}

inline persist_second(sl)
{
	if
	:: pf[a].s[sl].map == cf[a].s[sl].map &&
	    pf[a].s[sl].seq == cf[a].s[sl].seq
	:: else ->
		if
		:: !y || NOPREFIX ->
			ig[a].s[sl].map = cf[a].s[sl].map;
			ig[a].s[sl].seq = cf[a].s[sl].seq
		:: y = 1
		fi
	fi
}

proctype crash()
{
	byte imap[NLBA];	/* the image: what the power cut left */
	pair ig[NL];
	byte rm[NLBA];		/* what recovery makes of it */
	byte rfree[NL], rslot[NL], rseq[NL];
	byte um[NLBA];		/* the same, uninterrupted */
	byte a, b, x, y, s;
#if LIFE2
	byte val[NLBA];		/* what the sectors read after recovery */
	byte l2, n2, f2, at;	/* the second life's write */
#endif

end_crash:
	do
	:: atomic {
		/*
		 * What was persistent?  Every dirty word of map and flog may
		 * be in the image or not.
		 */
		d_step {
			for (a : 0 .. NLBA - 1) {
				imap[a] = pmap[a]
			}
			for (a : 0 .. NL - 1) {
				for (b : 0 .. 1) {
					ig[a].s[b].lba = pf[a].s[b].lba;
					ig[a].s[b].old = pf[a].s[b].old;
					ig[a].s[b].map = pf[a].s[b].map;
					ig[a].s[b].seq = pf[a].s[b].seq
				}
			}
			a = 0;
			b = 0
		};
		for (a : 0 .. NLBA - 1) {
			if
			:: true
			:: cmap[a] != pmap[a] -> imap[a] = cmap[a]
			fi;
			printf("cut: map[%d] = %d\n", a, imap[a])
		}
		for (a : 0 .. NL - 1) {
			y = 0;
			persist_first(1 - lastslot[a]);
			persist_second(1 - lastslot[a]);
			persist_first(lastslot[a]);
			persist_second(lastslot[a]);
			printf("cut: lane %d {%d,%d,%d,%d}{%d,%d,%d,%d}\n",
			    a, ig[a].s[0].lba, ig[a].s[0].old, ig[a].s[0].map,
			    ig[a].s[0].seq, ig[a].s[1].lba, ig[a].s[1].old,
			    ig[a].s[1].map, ig[a].s[1].seq)
		}
		a = 0;
		y = 0;

		recover();

		/*
		 * A crash inside recovery leaves any of its map stores on
		 * media.  Recovering from that must give the same map.  One
		 * choice of a subset stands for any number of crashes.
		 */
		d_step {
			for (a : 0 .. NLBA - 1) {
				um[a] = rm[a]
			}
			a = 0
		};
		for (a : 0 .. NLBA - 1) {
			if
			:: true
			:: rm[a] != imap[a] -> imap[a] = rm[a]
			fi
		}
		a = 0;
		recover();

		d_step {
			for (a : 0 .. NLBA - 1) {
				assert(I6_redo || rm[a] == um[a])
			}
			check_owners();
			for (a : 0 .. NLBA - 1) {
				b = BLOCK(rm[a]);
				if
				:: rm[a] & E
				:: else ->
					check_data(a, b);
					assert(I2_lost ||
					    (ok[a] & (1 << VER_OF(p0[b]))))
				fi
			}
			a = 0;
			b = 0;
			x = 0
		};

#if LIFE2
		/*
		 * Second life: the arena goes live with what recovery found,
		 * one write runs, power fails again at stage at.  Sectors
		 * read as after the first recovery, but for the new write.
		 */
		d_step {
			for (a : 0 .. NLBA - 1) {
				val[a] = p0[BLOCK(rm[a])];
				if
				:: MUTANT(M22)
				:: else -> imap[a] = rm[a]
				fi
			}
			a = 0
		};
		if
		:: l2 = 0
		:: l2 = 1
#if NLBA > 2
		:: l2 = 2
#endif
		fi;
		if
		:: n2 = 0
#if NL > 1
		:: n2 = 1
#endif
#if NL > 2
		:: n2 = 2
#endif
#if NL > 3
		:: n2 = 3
#endif
		fi;
		if
		:: at = 0
		:: at = 1
		:: at = 2
		:: at = 3
		:: at = 4
		fi;
		/* A store that was not fenced in M22 may be there by now. */
		for (a : 0 .. NLBA - 1) {
			if
			:: true
			:: rm[a] != imap[a] -> imap[a] = rm[a]
			fi
		}
		a = 0;
		d_step {
			f2 = rfree[n2];
			s = rslot[n2];
			printf("second life: sector %d on lane %d, cut at %d\n",
			    l2, n2, at);
			if
			:: at >= 1 ->	/* first half is there */
				ig[n2].s[s].lba = l2;
				ig[n2].s[s].old = BLOCK(rm[l2])
			:: else
			fi;
			if
			:: at >= 2 ->	/* data and second half are */
				ig[n2].s[s].map = f2;
				ig[n2].s[s].seq = rseq[n2]
			:: else
			fi;
			if
			:: at >= 3 ->	/* the map is; 4: acknowledged */
				imap[l2] = f2
			:: else
			fi;
			s = 0
		};
		recover();
		d_step {
			for (a : 0 .. NLBA - 1) {
				b = BLOCK(rm[a]);
				assert(I4_range || b < NBLK);
				if
				:: b == f2 ->
					/* The second life's data is here. */
					assert(I2_changed ||
					    (a == l2 && at >= 2))
				:: else ->
					assert(I2_changed ||
					    ((a != l2 || at < 4) &&
					    p0[b] == val[a]))
				fi;
				val[a] = 0
			}
			check_owners();
			a = 0;
			b = 0;
			x = 0;
			l2 = 0;
			n2 = 0;
			f2 = 0;
			at = 0
		};
#endif
		/* Forget everything: the live state is as it was. */
		d_step {
			for (a : 0 .. NLBA - 1) {
				imap[a] = 0;
				rm[a] = 0;
				um[a] = 0
			}
			for (a : 0 .. NL - 1) {
				rfree[a] = 0;
				rslot[a] = 0;
				rseq[a] = 0;
				for (b : 0 .. 1) {
					ig[a].s[b].lba = 0;
					ig[a].s[b].old = 0;
					ig[a].s[b].map = 0;
					ig[a].s[b].seq = 0
				}
			}
			a = 0;
			b = 0
		}
	   }
	od
}
#endif

init
{
	byte rm[NLBA], rfree[NL];
	byte a, b, x;

#ifndef MUT
	c_code {
		if (getenv("MUTANT") != NULL)
			mutant = atoi(getenv("MUTANT"));
	};
#endif
	d_step {
		/* As formatted: identity map, one free block a lane. */
		for (a : 0 .. NBLK - 1) {
			c0[a] = (a < NLBA -> VAL(a, 0) : JUNK);
			c1[a] = c0[a];
			p0[a] = c0[a];
			p1[a] = c0[a]
		}
		for (a : 0 .. NLBA - 1) {
			cmap[a] = a;
			pmap[a] = a;
			done[a] = 1;
			ok[a] = 1
		}
		for (a : 0 .. NL - 1) {
			cf[a].s[0].lba = a;
			cf[a].s[0].old = NLBA + a;
			cf[a].s[0].map = NLBA + a;
			cf[a].s[0].seq = 1;
			pf[a].s[0].lba = a;
			pf[a].s[0].old = NLBA + a;
			pf[a].s[0].map = NLBA + a;
			pf[a].s[0].seq = 1;
			lfree[a] = NLBA + a;
			lslot[a] = 1;
			lseq[a] = 2
		}
		for (a : 0 .. NT - 1) {
			rtt[a] = NONE;
			sb[a] = NOSB
		}
		a = 0
	};
	atomic {
		run worker(0);
#if NT > 1
		run worker(1);
#endif
#if NT > 2
		run worker(2);
#endif
		run drain();
#if CRASH
		run crash();
#endif
	};

	/* Everybody is done: the live arena is whole, too. */
	atomic {
		finished == NT ->
		d_step {
			for (a : 0 .. NLBA - 1) {
				rm[a] = cmap[a]
			}
			for (a : 0 .. NL - 1) {
				rfree[a] = lfree[a]
			}
			check_owners();
			for (a : 0 .. NLBA - 1) {
				b = BLOCK(cmap[a]);
				assert(I1_whole || c0[b] == c1[b]);
				assert(I1_sector || LBA_OF(c0[b]) == a);
				assert(I2_lost ||
				    (ok[a] & (1 << VER_OF(c0[b]))))
			}
		}
	}
}
