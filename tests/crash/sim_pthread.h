/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_SIM_PTHREAD_H
#define CRASH_SIM_PTHREAD_H

/*
 * sim_pthread -- forced into every file of lanes/ that the explorer builds:
 * the system's locks become the scheduler's, and the stack of held locks, one
 * a thread, becomes one a coroutine.  Everything above is the product's code.
 */
#include <pthread.h>
#include <unistd.h>

#define gettid sim_gettid
#define pthread_mutex_init sim_mutex_init
#define pthread_mutex_destroy sim_mutex_destroy
#define pthread_mutex_lock sim_mutex_lock
#define pthread_mutex_trylock sim_mutex_trylock
#define pthread_mutex_unlock sim_mutex_unlock
#define pthread_cond_init sim_cond_init
#define pthread_cond_destroy sim_cond_destroy
#define pthread_cond_wait sim_cond_wait
#define pthread_cond_timedwait sim_cond_timedwait
#define pthread_cond_signal sim_cond_signal
#define pthread_cond_broadcast sim_cond_broadcast

pid_t sim_gettid(void);
int sim_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int sim_mutex_destroy(pthread_mutex_t *mutex);
int sim_mutex_lock(pthread_mutex_t *mutex);
int sim_mutex_trylock(pthread_mutex_t *mutex);
int sim_mutex_unlock(pthread_mutex_t *mutex);
int sim_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int sim_cond_destroy(pthread_cond_t *cond);
int sim_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int sim_cond_timedwait(
    pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);
int sim_cond_signal(pthread_cond_t *cond);
int sim_cond_broadcast(pthread_cond_t *cond);

/* Turns the definition in held.c into that of a pointer. */
#define held_this (*sim_held)

#endif
