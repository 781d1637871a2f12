/* nginx with one worker, from a configuration that is made here. */
#include "load.h"

#include <fcntl.h>

static void
serve(void)
{
	char directory[] = "/tmp/bench-nginx-XXXXXX", path[100];
	int port = free_port(), descriptor;
	FILE *configuration;

	BENCH_CHECK(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/file", directory);
	descriptor = open(path, O_CREAT | O_WRONLY, 0600);
	BENCH_CHECK(descriptor >= 0 && ftruncate(descriptor, LARGE) == 0);
	snprintf(path, sizeof path, "%s/conf", directory);
	configuration = fopen(path, "w");
	BENCH_CHECK(configuration);
	fprintf(configuration,
	    "daemon off; master_process off; pid %1$s/pid; error_log /dev/null;\n"
	    "events { worker_connections 4096; }\n"
	    "http { access_log off; keepalive_requests 1000000000; sendfile on; root %1$s;\n"
	    "client_body_temp_path %1$s/b; proxy_temp_path %1$s/p; fastcgi_temp_path %1$s/f;\n"
	    "uwsgi_temp_path %1$s/u; scgi_temp_path %1$s/s;\n"
	    "server { listen 127.0.0.1:%2$d; location /small { return 200 '%3$0128d'; } } }\n",
	    directory, port, 0);
	fclose(configuration);
	ready(port);
	execlp("nginx", "nginx", "-e", "/dev/null", "-c", path, (char *)NULL);
	_exit(1);
}

const struct server server = {FILES | MANY, serve, NULL};
