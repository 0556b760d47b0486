/* Included before all else in a wheel for any Linux: binds to the oldest version of what glibc
 * has in several, so that a wheel built on a new system runs on one with glibc 2.17 as well.
 *
 * Values have the same bits: old exp, log, pow and hypot wrap the new ones, and ask in addition
 * whether errors are to be reported as System V did. Of threads only the library changed, with
 * glibc 2.34; before, Python itself loads libpthread. The test of this file is
 * tests/project/test_wheels.py, and auditwheel refuses the tag if a function is forgotten. */
#define BIND(function, version) __asm__(".symver " #function "," #function "@GLIBC_" #version)
BIND(exp, 2.2.5);
BIND(log, 2.2.5);
BIND(pow, 2.2.5);
BIND(hypot, 2.2.5);
BIND(pthread_condattr_setclock, 2.3.3);
BIND(pthread_create, 2.2.5);
BIND(pthread_join, 2.2.5);
BIND(pthread_once, 2.2.5);
BIND(pthread_sigmask, 2.2.5);
#undef BIND
