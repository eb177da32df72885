/* SPDX-License-Identifier: BSD-3-Clause */
/* OCI image layouts (as skopeo and others write them) to packages, and packages to them. */
#ifndef CAPSTAN_OCI_H
#define CAPSTAN_OCI_H

#include "compose.h"
#include "deb.h"

/*
 * Makes a package from the image in a layout directory: its layers as one tree, its entry point,
 * environment and working directory as the boot command. reference chooses among several images by
 * their org.opencontainers.image.ref.name; NULL when there is one. Every digest is checked.
 */
int cap_package_from_oci(
    struct cap *c, const char *layout, const char *reference, const struct cap_made *made);
/* Writes what a package's image would contain as an OCI layout with one layer into a new directory.
 */
int cap_package_to_oci(struct cap *c, const struct cap_compose *req, const char *layout);

#endif
