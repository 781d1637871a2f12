/* Prints the file that event_base_new comes from, after loading the library that is the argument. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
	void *place = RTLD_DEFAULT;
	Dl_info info;

	if (argc > 1 && !(place = dlopen(argv[1], RTLD_NOW))) {
		puts(dlerror());
		return 1;
	}
	if (!dladdr(dlsym(place, "event_base_new"), &info))
		return 1;
	puts(info.dli_fname);
	return 0;
}
