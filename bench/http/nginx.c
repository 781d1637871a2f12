/* nginx with one worker, from a configuration that is made here. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

/* The directory for nginx's files, beside this program, so that runs leave nothing elsewhere. */
static void
make_directory(char directory[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", directory, PATH_MAX - 10);

	BENCH_CHECK(length > 0);
	strcpy(directory + length, ".files");
	BENCH_CHECK(mkdir(directory, 0700) == 0 || errno == EEXIST);
}

static void
serve(void)
{
	char directory[PATH_MAX], path[PATH_MAX + 10];
	int port = free_port(), descriptor;
	FILE *configuration;

	make_directory(directory);
	snprintf(path, sizeof path, "%s/file", directory);
	descriptor = open(path, O_CREAT | O_WRONLY, 0600);
	BENCH_CHECK(descriptor >= 0 && ftruncate(descriptor, LARGE) == 0);
	snprintf(path, sizeof path, "%s/conf", directory);
	configuration = fopen(path, "w");
	BENCH_CHECK(configuration);
	fprintf(configuration,
	    "daemon off; master_process off; pid '%1$s/pid'; error_log /dev/null;\n"
	    "events { worker_connections 4096; }\n"
	    "http { access_log off; keepalive_requests 1000000000; sendfile on; root '%1$s';\n"
	    "client_body_temp_path '%1$s/b'; proxy_temp_path '%1$s/p'; fastcgi_temp_path '%1$s/f';\n"
	    "uwsgi_temp_path '%1$s/u'; scgi_temp_path '%1$s/s';\n"
	    "server { listen 127.0.0.1:%2$d; location /small { return 200 '%3$0128d'; } } }\n",
	    directory, port, 0);
	fclose(configuration);
	ready(port);
	execlp("nginx", "nginx", "-e", "/dev/null", "-c", path, (char *)NULL);
	_exit(1);
}

const struct server server = {FILES | MANY, serve, NULL};
