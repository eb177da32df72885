/* SPDX-License-Identifier: BSD-3-Clause */
/* Device vectors: called by the trap dispatcher for every vector that is not the local APIC's own. */
#pragma once

/* Calls the handler of a device vector on this CPU; acknowledging the APIC is the caller's job. */
void irq_dispatch(unsigned vector);
