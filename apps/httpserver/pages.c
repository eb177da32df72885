/* SPDX-License-Identifier: BSD-3-Clause */
/* The pages for people and their paths. */
#include "pages.h"

extern const char page_dashboard_html[], page_dashboard_html_end[];
extern const char page_dashboard_js[], page_dashboard_js_end[];
extern const char page_dashboard_css[], page_dashboard_css_end[];
extern const char page_calls_html[], page_calls_html_end[];
extern const char page_calls_js[], page_calls_js_end[];

#define HTML "text/html; charset=utf-8"
#define JS "text/javascript; charset=utf-8"
#define CSS "text/css; charset=utf-8"

const struct page pages[] = {
    {"/", HTML, page_dashboard_html, page_dashboard_html_end},
    {"/dashboard", HTML, page_dashboard_html, page_dashboard_html_end},
    {"/dashboard.js", JS, page_dashboard_js, page_dashboard_js_end},
    {"/dashboard.css", CSS, page_dashboard_css, page_dashboard_css_end},
    {"/calls", HTML, page_calls_html, page_calls_html_end},
    {"/calls.js", JS, page_calls_js, page_calls_js_end},
};
const unsigned npages = sizeof pages / sizeof pages[0];
