/* SPDX-License-Identifier: BSD-3-Clause */
/* Making packages from what a Debian system has, installed or to be downloaded. */
#ifndef CAPSTAN_DEB_H
#define CAPSTAN_DEB_H

#include "manifest.h"

/* How the new package is called and where it goes. NULL: derived from what goes in. */
struct cap_made {
	const char *name, *title, *author, *version;
	const char *output;	  /* write NAME.mpm into this directory instead of importing it */
	const char *bootcmd;	  /* a run.yaml with this command */
	const struct strv *files; /* HOST:GUEST extra files */
	const struct strv *dirs;
	const struct strv
	    *links; /* PATH:TARGET symbolic links, such as Debian's alternatives make */
	const struct strv *require;
};

/*
 * A package with the files of Debian packages and what they need. Of the packages they depend on,
 * libraries come along as far as they are needed, others whole; documentation stays out. Packages
 * that are not installed are downloaded with apt-get, not installed.
 */
int cap_package_from_deb(struct cap *c, const struct strv *names, const struct cap_made *made);
/* A package with programs of this host and the libraries (and standard library) they need. */
int cap_package_from_host(struct cap *c, const struct strv *programs, const struct cap_made *made);

#endif
