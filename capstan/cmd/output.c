/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables for people and the same rows as JSON for machines. */
#include "cmd.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cmd_table {
	size_t columns;
	struct strv names, cells;
};

struct cmd_table *cmd_table_new(const char *const *columns, size_t count)
{
	struct cmd_table *t = xcalloc(1, sizeof(*t));
	t->columns = count;
	for (size_t i = 0; i < count; i++)
		strv_add(&t->names, columns[i]);
	return t;
}

void cmd_table_row(struct cmd_table *t, const char *const *cells)
{
	for (size_t i = 0; i < t->columns; i++)
		strv_add(&t->cells, cells[i] ? cells[i] : "");
}

static void print_row(const struct cmd_table *t, char *const *cells, const size_t *widths)
{
	for (size_t i = 0; i < t->columns; i++)
		if (i + 1 == t->columns)
			printf("%s\n", cells[i]);
		else
			printf("%-*s ", (int)widths[i], cells[i]);
}

static void print_text(const struct cmd_table *t)
{
	size_t *widths = xcalloc(t->columns, sizeof(*widths));
	for (size_t i = 0; i < t->columns; i++)
		widths[i] = strlen(t->names.items[i]) + 2;
	for (size_t i = 0; i < t->cells.count; i++)
		widths[i % t->columns] =
		    cap_max(widths[i % t->columns], strlen(t->cells.items[i]) + 2);
	print_row(t, t->names.items, widths);
	for (size_t i = 0; i < t->cells.count; i += t->columns)
		print_row(t, t->cells.items + i, widths);
	free(widths);
}

static void print_json(const struct cmd_table *t)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < t->cells.count; i += t->columns) {
		json_t *row = json_object();
		for (size_t k = 0; k < t->columns; k++) {
			char *key = xstrdup(t->names.items[k]);
			for (char *p = key; *p; p++)
				*p = *p == ' ' ? '_' : (char)tolower((unsigned char)*p);
			json_object_set_new(row, key, json_string(t->cells.items[i + k]));
			free(key);
		}
		json_array_append_new(rows, row);
	}
	char *text = json_dumps(rows, JSON_INDENT(2));
	puts(text ? text : "[]");
	free(text);
	json_decref(rows);
}

void cmd_table_print(struct cmd_table *t, bool json)
{
	if (json)
		print_json(t);
	else
		print_text(t);
	strv_free(&t->names);
	strv_free(&t->cells);
	free(t);
}
