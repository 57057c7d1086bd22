/* Loaded before Postgres: makes each flush to the disk take longer, by the milliseconds that a file says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_as_told(void) {
    const char *path = getenv("SLOW_DISK_FILE");
    char text[16] = {0};
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    long millis = length > 0 ? atol(text) : 0;
    struct timespec left = {millis / 1000, millis % 1000 * 1000000};
    while (millis > 0 && nanosleep(&left, &left) != 0) {}
}

int fdatasync(int file) {
    wait_as_told();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
}

int fsync(int file) {
    wait_as_told();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}
