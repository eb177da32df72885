/* SPDX-License-Identifier: BSD-3-Clause */
/* The signed index of a hub. */
#include "hub_index.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"
#include "version.h"

void hub_package_free(struct hub_package *p)
{
	free(p->name);
	free(p->version);
	free(p->packaging);
	free(p->title);
	free(p->author);
	free(p->created);
	free(p->file);
	free(p->sha256);
	strv_free(&p->require);
	*p = (struct hub_package){0};
}

void hub_index_free(struct hub_index *index)
{
	for (size_t i = 0; i < index->count; i++)
		hub_package_free(&index->list[i]);
	for (size_t i = 0; i < index->image_count; i++)
		hub_package_free(&index->images[i]);
	free(index->list);
	free(index->images);
	*index = (struct hub_index){0};
}

static int compare_packages(const void *a, const void *b)
{
	const struct hub_package *x = a, *y = b;
	int r = strcmp(x->name, y->name);
	return r ? r
		 : cap_version_compare(x->version ? x->version : "", y->version ? y->version : "");
}

static void set(json_t *o, const char *key, const char *value)
{
	if (value)
		json_object_set_new(o, key, json_string(value));
}

static json_t *entry_json(const struct hub_package *p)
{
	json_t *o = json_object(), *require = json_array();
	set(o, "name", p->name);
	set(o, "version", p->version);
	set(o, "packaging", p->packaging);
	set(o, "title", p->title);
	set(o, "author", p->author);
	set(o, "created", p->created);
	set(o, "file", p->file);
	set(o, "sha256", p->sha256);
	json_object_set_new(o, "bytes", json_integer(p->bytes));
	for (size_t k = 0; k < p->require.count; k++)
		json_array_append_new(require, json_string(p->require.items[k]));
	json_object_set_new(o, "require", require);
	return o;
}

static json_t *list_json(struct hub_package *list, size_t count)
{
	json_t *array = json_array();
	if (count)
		qsort(list, count, sizeof(*list), compare_packages);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, entry_json(&list[i]));
	return array;
}

char *hub_index_format(const struct hub_index *index)
{
	json_t *root = json_object();
	json_object_set_new(root, "format", json_integer(1));
	json_object_set_new(root, "serial", json_integer(index->serial));
	json_object_set_new(root, "packages", list_json(index->list, index->count));
	json_object_set_new(root, "images", list_json(index->images, index->image_count));
	char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(root);
	return text;
}

static char *get(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? xstrdup(s) : NULL;
}

static bool digest_valid(const char *s)
{
	return s && strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

/* Paths are used in URLs and file names: plain relative ones only. */
static bool file_valid(const char *s)
{
	if (!s || !isalnum((unsigned char)*s) || strlen(s) > 300 || strstr(s, ".."))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._+-/", *s))
			return false;
	return true;
}

static bool parse_entry(const json_t *o, bool image, struct hub_package *p)
{
	const json_t *bytes = json_object_get(o, "bytes"), *require = json_object_get(o, "require");
	size_t i;
	json_t *item;
	*p = (struct hub_package){.name = get(o, "name"),
	    .version = get(o, "version"),
	    .packaging = get(o, "packaging"),
	    .title = get(o, "title"),
	    .author = get(o, "author"),
	    .created = get(o, "created"),
	    .file = get(o, "file"),
	    .sha256 = get(o, "sha256"),
	    .bytes = json_integer_value(bytes)};
	json_array_foreach(require, i, item) if (json_is_string(item))
	    strv_add(&p->require, json_string_value(item));
	return p->name && (image ? cap_image_name_valid : cap_name_valid)(p->name) &&
	       digest_valid(p->sha256) && file_valid(p->file) && json_is_integer(bytes) &&
	       json_integer_value(bytes) >= 0;
}

static int parse_list(struct cap *c, const char *where, const json_t *array, bool image,
    struct hub_package **list, size_t *count)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		*list = xrealloc(*list, (*count + 1) * sizeof(**list));
		if (!parse_entry(json_array_get(array, i), image, &(*list)[(*count)++]))
			return cap_fail(c, EBADMSG, "%s: %s %zu makes no sense", where,
			    image ? "image" : "package", i + 1);
	}
	return 0;
}

int hub_index_parse(
    struct cap *c, const char *where, const char *text, size_t len, struct hub_index *index)
{
	json_error_t error;
	*index = (struct hub_index){0};
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return cap_fail(c, EBADMSG, "%s:%d: %s", where, error.line, error.text);
	json_t *list = json_object_get(root, "packages"), *serial = json_object_get(root, "serial");
	int result = 0;
	if (json_integer_value(json_object_get(root, "format")) != 1)
		result = cap_fail(c, EBADMSG, "%s: not an index of format 1", where);
	else if (!json_is_array(list) || !json_is_integer(serial) || json_integer_value(serial) < 0)
		result = cap_fail(
		    c, EBADMSG, "%s: the index has no packages or no serial number", where);
	index->serial = result ? 0 : json_integer_value(serial);
	if (!result)
		result = parse_list(c, where, list, false, &index->list, &index->count);
	if (!result)
		result = parse_list(c, where, json_object_get(root, "images"), true, &index->images,
		    &index->image_count);
	json_decref(root);
	if (result)
		hub_index_free(index);
	return result;
}

static void sodium_ready(void)
{
	if (sodium_init() < 0)
		abort(); /* no source of random numbers: nothing here would be safe */
}

void hub_key_public(const unsigned char seed[32], char public_hex[HUB_KEY_HEX + 1])
{
	unsigned char pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
	sodium_ready();
	crypto_sign_seed_keypair(pk, sk, seed);
	sodium_bin2hex(public_hex, HUB_KEY_HEX + 1, pk, sizeof(pk));
	sodium_memzero(sk, sizeof(sk));
}

void hub_key_create(unsigned char seed[32], char public_hex[HUB_KEY_HEX + 1])
{
	sodium_ready();
	randombytes_buf(seed, 32);
	hub_key_public(seed, public_hex);
}

char *hub_index_sign(const char *json, const unsigned char seed[32])
{
	unsigned char pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
	unsigned char signature[crypto_sign_BYTES];
	char hex[2 * crypto_sign_BYTES + 1];
	sodium_ready();
	crypto_sign_seed_keypair(pk, sk, seed);
	crypto_sign_detached(signature, NULL, (const unsigned char *)json, strlen(json), sk);
	sodium_memzero(sk, sizeof(sk));
	sodium_bin2hex(hex, sizeof(hex), signature, sizeof(signature));
	return xasprintf("%s\n%s", hex, json);
}

int hub_index_verify(struct cap *c, const char *where, const char *text, size_t len,
    const char *public_hex, const char **json)
{
	unsigned char signature[crypto_sign_BYTES], pk[crypto_sign_PUBLICKEYBYTES];
	size_t hex = 2 * crypto_sign_BYTES, n;
	sodium_ready();
	if (strlen(public_hex) != HUB_KEY_HEX ||
	    sodium_hex2bin(pk, sizeof(pk), public_hex, HUB_KEY_HEX, NULL, &n, NULL) ||
	    n != sizeof(pk))
		return cap_fail(
		    c, EBADMSG, "\"%s\" is not a public key (64 hexadecimal digits)", public_hex);
	if (len <= hex || text[hex] != '\n' ||
	    sodium_hex2bin(signature, sizeof(signature), text, hex, NULL, &n, NULL) ||
	    n != sizeof(signature))
		return cap_fail(c, EBADMSG, "%s is not a signed index", where);
	*json = text + hex + 1;
	if (crypto_sign_verify_detached(signature, (const unsigned char *)*json, len - hex - 1, pk))
		return cap_fail(c, EBADMSG,
		    "%s: the signature does not fit the trusted key %.16s…; nothing was used from "
		    "it",
		    where, public_hex);
	return 0;
}

static int compare_age(const struct hub_package *x, const struct hub_package *y)
{
	int r = cap_version_prefer(x->version ? x->version : "", y->version ? y->version : "");
	return r ? r
		 : cap_version_compare(
		       x->packaging ? x->packaging : "", y->packaging ? y->packaging : "");
}

const struct hub_package *hub_index_find(
    const struct hub_index *index, const char *name, const char *range)
{
	const struct hub_package *best = NULL;
	for (size_t i = 0; i < index->count; i++) {
		const struct hub_package *p = &index->list[i];
		if (strcmp(p->name, name))
			continue;
		if (*range && (!p->version || cap_version_matches(p->version, range) <= 0))
			continue;
		if (!best || compare_age(p, best) > 0)
			best = p;
	}
	return best;
}

const struct hub_package *hub_index_find_image(const struct hub_index *index, const char *name)
{
	const struct hub_package *best = NULL;
	for (size_t i = 0; i < index->image_count; i++) {
		const struct hub_package *p = &index->images[i];
		if (!strcmp(p->name, name) && (!best || compare_age(p, best) > 0))
			best = p;
	}
	return best;
}
