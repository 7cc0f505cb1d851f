"""Serves one key exchange method: server.py HOST_KEY AUTHORIZED_KEYS KEX; every command answers its input in capitals."""
import asyncio
import sys

import asyncssh


async def answer(process):
    data = await process.stdin.read()
    process.stdout.write(data.upper())
    process.stderr.write(b"oops\n")
    process.exit(7)


async def main():
    host_key, authorized_keys, kex = sys.argv[1:]
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[host_key], authorized_client_keys=authorized_keys, kex_algs=[kex],
        process_factory=answer, encoding=None, config=None,
    )
    print(f"Server listening on port {server.get_port()}", file=sys.stderr, flush=True)
    await server.wait_closed()


asyncio.run(main())
