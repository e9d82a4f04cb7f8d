"""A second ssh server, for machines without OpenSSH's: one user's key, commands run by the shell.

python asyncssh_server.py PORT HOST_KEY AUTHORIZED_KEYS
"""

import asyncio
import sys
from asyncio.subprocess import PIPE

import asyncssh

GONE = (OSError, asyncssh.Error)  # one of both ends is


async def copy(source, sink):
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except GONE:
        return


async def answer(process):
    shell = await asyncio.create_subprocess_shell(process.command, stdin=PIPE, stdout=PIPE, stderr=PIPE)

    async def pass_on():
        await copy(process.stdin, shell.stdin)
        shell.stdin.close()

    passing = asyncio.create_task(pass_on())
    await asyncio.gather(copy(shell.stdout, process.stdout), copy(shell.stderr, process.stderr))
    process.exit(await shell.wait())
    await passing


async def serve(port, host_key, authorized_keys):
    await asyncssh.listen(
        "127.0.0.1",
        int(port),
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        process_factory=answer,
        encoding=None,
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
