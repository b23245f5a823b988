/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_ERROR_H
#define BTT_ERROR_H

/*
 * How the library says what went wrong: a negative errno as the return value,
 * and, where a person will want to know why, one line of text in a structure
 * that the caller owns.  The library itself prints nothing.
 *
 * Meaning of the numbers, everywhere in btt/:
 *   -EINVAL       the caller broke the contract
 *   -ERANGE       beyond the device
 *   -EMEDIUMTYPE  not a BTT
 *   -ENOTSUP      a version or feature that this program does not know
 *   -EUCLEAN      metadata contradicts itself
 *   -EIO          the medium failed, or a sector is marked bad
 *   -ESTALE       not what it was, or not what was meant
 *   -EROFS        opened for reading, or frozen after a failure
 *   -EBUSY        held by somebody else
 *   -EFBIG, -ENOSPC, -ENOMEM, -EACCES, -ENOENT as the system means them
 */

#define BTT_MUST_CHECK __attribute__((warn_unused_result))
#define BTT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

struct btt_error {
	char text[256]; /* one line without a full stop; "" if nothing to say */
};

/*
 * Note why code (a negative errno) is returned, and return it.  error may be
 * NULL; its text so far may be among the arguments.  A text that is too long
 * is cut.
 */
int btt_error_set(struct btt_error *error, int code, const char *fmt, ...)
    BTT_PRINTF(3, 4);

#endif
