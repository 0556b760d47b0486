/* Adjoints: which rows a batch keeps them in. */
#ifndef FASTGRAD_ADJOINTS_H
#define FASTGRAD_ADJOINTS_H

#include "tape/tape.h"

/* Gives the rows of a plan, whose steps and lists are there, rows of adjoints. Those of rows from
 * one that begins to the next stay together; those of the leaves are the first. */
int adjoints_place(Plan *plan, const uint8_t *begins, Poll *poll);

#endif
