"""Logs in with one key exchange method: client.py PORT KEY KNOWN_HOSTS KEX; standard input to `cat` there and back."""
import asyncio
import sys

import asyncssh


async def main():
    port, key, known_hosts, kex = sys.argv[1:]
    async with asyncssh.connect(
        "127.0.0.1", int(port), username="ann", client_keys=[key], known_hosts=known_hosts, kex_algs=[kex],
        config=None, agent_path=None, encoding=None,
    ) as connection:
        result = await connection.run("cat; echo oops >&2; exit 7", input=sys.stdin.buffer.read(), encoding=None)
        sys.stdout.buffer.write(result.stdout)
        sys.stderr.buffer.write(result.stderr)
        print(connection.get_extra_info("server_version"), file=sys.stderr)
        return result.exit_status


sys.exit(asyncio.run(main()))
