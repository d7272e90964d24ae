#define _GNU_SOURCE
#include "COSTree.h"

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

// The public layout of GLib's GPtrArray and GError, part of its stable interface.
struct pointers {
    void **items;
    unsigned count;
};
struct failure {
    unsigned domain;
    int code;
    char *message;
};

struct library {
    void *(*file_new)(const char *);
    void *(*sysroot_new)(void *);
    void (*namespace_in_use)(void *);
    int (*initialize)(void *, struct failure **);
    int (*lock)(void *, struct failure **);
    int (*load)(void *, void *, struct failure **);
    struct pointers *(*deployments)(void *);
    int (*write)(void *, struct pointers *, void *, struct failure **);
    void (*unlock)(void *);
    const char *(*osname)(void *);
    const char *(*checksum)(void *);
    int (*serial)(void *);
    struct pointers *(*array_new)(void);
    void (*array_add)(struct pointers *, void *);
};

static int find(void *handle, const char *name, void *slot, int errors) {
    void *symbol = dlsym(handle, name);
    if (!symbol) {
        dprintf(errors, "libostree has no %s", name);
        return 0;
    }
    memcpy(slot, &symbol, sizeof symbol);
    return 1;
}

static int open_library(struct library *to, int errors) {
    // DEEPBIND: this program may carry other versions of the libraries that libostree needs.
    void *handle = dlopen("libostree-1.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!handle) {
        dprintf(errors, "%s", dlerror());
        return 0;
    }
    return find(handle, "g_file_new_for_path", &to->file_new, errors)
        && find(handle, "ostree_sysroot_new", &to->sysroot_new, errors)
        && find(handle, "ostree_sysroot_set_mount_namespace_in_use", &to->namespace_in_use, errors)
        && find(handle, "ostree_sysroot_initialize", &to->initialize, errors)
        && find(handle, "ostree_sysroot_lock", &to->lock, errors)
        && find(handle, "ostree_sysroot_load", &to->load, errors)
        && find(handle, "ostree_sysroot_get_deployments", &to->deployments, errors)
        && find(handle, "ostree_sysroot_write_deployments", &to->write, errors)
        && find(handle, "ostree_sysroot_unlock", &to->unlock, errors)
        && find(handle, "ostree_deployment_get_osname", &to->osname, errors)
        && find(handle, "ostree_deployment_get_csum", &to->checksum, errors)
        && find(handle, "ostree_deployment_get_deployserial", &to->serial, errors)
        && find(handle, "g_ptr_array_new", &to->array_new, errors)
        && find(handle, "g_ptr_array_add", &to->array_add, errors);
}

// What `ostree admin` does before it writes: where /sysroot is mounted read-only, libostree mounts it writable, which
// nobody else is to see. Not possible without the right to, and not needed then.
static int own_namespace(void) {
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0;
}

int COSTree_own_mounts(void) {
    if (!own_namespace()) return 0;
    const char *const folders[] = {"/sysroot", "/boot"};
    for (unsigned i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct statvfs info;
        if (statvfs(folders[i], &info) == 0 && info.f_flag & ST_RDONLY)
            mount(folders[i], folders[i], NULL, MS_REMOUNT | MS_SILENT, NULL);
    }
    return 1;
}

static int set_default(const char *path, const char *osname, const char *checksum, int serial, int errors) {
    struct library lib;
    if (!open_library(&lib, errors)) return COSTree_no_library;
    struct failure *failure = NULL;
    void *sysroot = lib.sysroot_new(path ? lib.file_new(path) : NULL);
    if (own_namespace()) lib.namespace_in_use(sysroot);
    if (!lib.initialize(sysroot, &failure) || !lib.lock(sysroot, &failure) || !lib.load(sysroot, NULL, &failure)) {
        dprintf(errors, "%s", failure ? failure->message : "no reason given");
        return COSTree_failed;
    }
    struct pointers *before = lib.deployments(sysroot);
    struct pointers *after = lib.array_new();
    for (unsigned i = 0; i < before->count; i++) {
        void *one = before->items[i];
        if (lib.serial(one) == serial && !strcmp(lib.checksum(one), checksum) && !strcmp(lib.osname(one), osname))
            lib.array_add(after, one);
    }
    if (after->count != 1) return COSTree_not_there;
    for (unsigned i = 0; i < before->count; i++)
        if (before->items[i] != after->items[0]) lib.array_add(after, before->items[i]);
    int status = COSTree_done;
    if (!lib.write(sysroot, after, NULL, &failure)) {
        dprintf(errors, "%s", failure ? failure->message : "no reason given");
        status = COSTree_failed;
    }
    lib.unlock(sysroot);
    return status;
}

pid_t COSTree_start_set_default(
    const char *sysroot, const char *osname, const char *checksum, int serial, int errors
) {
    pid_t child = fork();
    if (child != 0) return child;
    // What the parent blocks or ignores is its own affair.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    _exit(set_default(sysroot, osname, checksum, serial, errors));
}
