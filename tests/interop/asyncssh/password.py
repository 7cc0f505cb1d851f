"""Demands a new password once: password.py HOST_KEY; "old" has expired, "weak" is not taken for a new one."""
import asyncio
import sys

import asyncssh


def note(text):
    print(text, file=sys.stderr, flush=True)


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def kbdint_auth_supported(self):
        return False  # it would ask for the same password, and cannot ask for a new one

    def validate_password(self, username, password):
        if password == "old":
            note("expired")
            raise asyncssh.PasswordChangeRequired("Your password has expired\x1b")
        return False

    def change_password(self, username, old_password, new_password):
        if new_password == "weak":
            raise asyncssh.PasswordChangeRequired("Another one")
        note(f"changed {old_password} to {new_password}")
        return old_password == "old"


async def main():
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Server, server_host_keys=[sys.argv[1]], config=None,
        process_factory=lambda process: process.exit(0),
    )
    note(f"Server listening on port {server.get_port()}")
    await server.wait_closed()


asyncio.run(main())
