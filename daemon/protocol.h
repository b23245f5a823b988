/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_PROTOCOL_H
#define BTTFS_PROTOCOL_H

/*
 * protocol -- what the daemon and bttctl say to each other over a Unix stream
 * socket: JSON objects, one a line.
 *
 * The server's first line:
 *
 *	{"protocol":"bttfs","version":1,"server":"0.1.0","pid":4711}
 *
 * or {"error":{...}} if it takes no more clients.  Then requests, of which many
 * may be under way at once, and answers in the order in which they are ready:
 *
 *	{"id":1,"verb":"attach","args":{"path":"/srv/disk"}}
 *	{"id":1,"result":...}
 *	{"id":1,"error":{"errno":"EBUSY","message":"...","stage":"claim",
 *	    "owner":{"dev":"vol0","state":"live","job":12,"verb":"attach",
 *	    "age":0.4}}}
 *
 * id is a number or a short text, chosen by the client.  Arguments that are not
 * known are refused.  Verbs and what they answer are in bttctl(8) and
 * control_verbs.c; the schema of every answer is in tests/schema.
 *
 * "monitor" answers with {"id":1,"snapshot":[...],"seq":93}, then with a line
 * for each event from that number on, until the client has gone.  An event may
 * tell what the snapshot shows already; generations say so.
 */
#define PROTOCOL_NAME "bttfs"
#define PROTOCOL_VERSION 1u

/* Longest line that the server reads, without its end. */
#define PROTOCOL_LINE_MAX 65536u
/* Longest text of an id. */
#define PROTOCOL_ID_MAX 64u

/* Where sockets are looked for. */
#define PROTOCOL_DIRECTORY "/run/bttfs"
#define PROTOCOL_SUFFIX ".sock"

#endif
