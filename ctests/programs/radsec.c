/* A client by libradsec: for each line of input, a user and a name of the configuration, it asks whether that
 * user may enter, and prints the answer. usage: radsec CONFIGURATION */
#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>

/* They rely on the headers before them. */
#include <radsec/radsec.h>
#include <radsec/request.h>

static void
ask(struct rs_context *context, const char *user, const char *name)
{
	struct rs_connection *connection = NULL;
	struct rs_request *request = NULL;
	struct rs_packet *answer = NULL;
	struct rs_error *error;
	int code;

	if (rs_conn_create(context, &connection, name) != RSE_OK) {
		printf("%s %s no connection\n", user, name);
		return;
	}
	if (rs_request_create_authn(connection, &request, user, "password") == RSE_OK &&
	    rs_request_send(request, &answer) == RSE_OK && answer) {
		printf("%s %s code %u\n", user, name, rs_packet_code(answer));
	} else {
		error = rs_err_conn_pop(connection);
		code = error ? rs_err_code(error, 1) : -1;
		printf("%s %s error %d\n", user, name, code);
	}
	if (answer)
		rs_packet_destroy(answer);
	if (request)
		rs_request_destroy(request);
	rs_conn_destroy(connection);
}

int
main(int argc, char **argv)
{
	struct rs_context *context;
	char user[100], name[100];

	if (argc != 2 || rs_context_create(&context) != RSE_OK || rs_context_read_config(context, argv[1]) != RSE_OK)
		return 2;
	while (scanf("%99s %99s", user, name) == 2) {
		ask(context, user, name);
		fflush(stdout);
	}
	rs_context_destroy(context);
	return 0;
}
