// The one call of libostree that older `ostree` programs have no verb for: putting a deployment first. libostree is
// there wherever `ostree` is, and is loaded when it is needed, so that nothing has to be linked.
#pragma once

#include <sys/types.h>

// How the child of COSTree_start_set_default ends.
#define COSTree_done 0
#define COSTree_failed 1
// There is no libostree, or it lacks a function.
#define COSTree_no_library 2
// No deployment has this name.
#define COSTree_not_there 3

// Starts a child that makes a deployment the first of the sysroot's list, all others behind it in their order.
//
// `sysroot` is a path, or NULL for the node's own. The child is the leader of a session of its own, writes why it failed
// to `errors`, and ends with one of the statuses above. A process of its own, as GLib ends the process at a fault of
// its own, and as ostree makes a read-only /sysroot and /boot writable in a mount namespace that is nobody else's.
// Returns its process id, or -1 with errno set.
pid_t COSTree_start_set_default(
    const char *sysroot, const char *osname, const char *checksum, int serial, int errors
);

// Gives the calling thread mounts that nobody else sees, in which /sysroot and /boot are writable, as `ostree admin` has
// them while it writes; where a folder is no mount, or stays read-only, writing to it says so. The thread must end
// afterwards: it cannot go back. Returns 0 when the namespace is refused.
int COSTree_own_mounts(void);
