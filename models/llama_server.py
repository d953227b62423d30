"""Runs llama.cpp's server for one GGUF file until standard input ends; started by path, as a process.

Loading a model holds Python's lock for as long as it takes, and llama.cpp writes to the terminal: here
neither reaches the process that serves users. Arguments: file, context tokens, threads, model name; the first
line of standard input is the API key. Prints the address it listens on as its only line.
"""

import os
import sys

import xllamacpp  # type: ignore[import-untyped]

LONGEST_ANSWER_PERCENT = 20
"""Of the context, for requests that set no `max_tokens`: so small a model does not always find an end."""


def main() -> None:
    path, context, threads, name = sys.argv[1:]
    key = sys.stdin.readline().strip()
    announce = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    server = xllamacpp.Server(_params(path, int(context), int(threads), key, name))
    announce.write(server.listening_address + "\n")
    announce.close()
    os.dup2(quiet, 2)
    sys.stdin.read()
    os._exit(0)


def _params(path: str, context: int, threads: int, key: str, name: str) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {name}
    params.api_keys = [key]
    params.port = 0
    params.n_ctx = context
    params.n_predict = context * LONGEST_ANSWER_PERCENT // 100
    params.n_parallel = 1
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0
    params.ui = False
    params.verbosity = 0
    return params


if __name__ == "__main__":
    main()
