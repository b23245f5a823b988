/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replay -- a fuzz target without a fuzzer: runs the inputs that it is given.
 *
 * usage: fuzz_TARGET FILE-OR-DIRECTORY...
 *
 * So inputs that once mattered are tried in every build.  libFuzzer's own main
 * does the same with -runs=0.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "target.h"

static unsigned ninput;

static void
run_file(const char *path)
{
	uint8_t *data = NULL;
	size_t size = 0;
	size_t room = 0;
	FILE *file = fopen(path, "rb");

	if (file == NULL) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	while (!feof(file) && !ferror(file)) {
		if (size == room) {
			room = room == 0 ? 4096 : 2 * room;
			if ((data = realloc(data, room)) == NULL)
				abort();
		}
		size += fread(data + size, 1, room - size, file);
	}
	fclose(file);
	/* Exactly as long as it is: a read beyond the end is to be seen. */
	if (size > 0 && (data = realloc(data, size)) == NULL)
		abort();
	printf("%s\n", path);
	fflush(stdout); /* the last line is the one that failed */
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	ninput++;
}

static void
run(const char *path)
{
	char name[4096];
	struct dirent *entry;
	DIR *directory = opendir(path);

	if (directory == NULL) {
		run_file(path);
		return;
	}
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(name, sizeof(name), "%s/%s", path,
			entry->d_name) < sizeof(name))
			run_file(name);
	}
	closedir(directory);
}

int
main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	printf("%u inputs\n", ninput);
	return ninput > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
