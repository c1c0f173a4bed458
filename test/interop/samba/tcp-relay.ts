import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Passes connections on and counts them, so that a test sees how many there are and can cut them. */
export interface TcpRelay extends AsyncDisposable {
  readonly port: number;
  /** Connections that are open now. */
  readonly open: number;
  /** Connections ever opened. */
  readonly total: number;
  /** Closes all that are open. */
  cut(): void;
  /** From now on connections are closed as soon as they come, or passed on again. */
  refuse(isRefusing: boolean): void;
}

/** On 127.0.0.1, to one target. */
export async function startTcpRelay(target: {
  readonly host: string;
  readonly port: number;
}): Promise<TcpRelay> {
  const sockets = new Set<Socket>();
  let total = 0;
  let isRefusing = false;
  const server = createServer((socket) => {
    if (isRefusing) {
      socket.destroy();
      return;
    }
    total += 1;
    const onward = connect(target);
    const end = () => {
      sockets.delete(socket);
      socket.destroy();
      onward.destroy();
    };
    sockets.add(socket);
    for (const each of [socket, onward]) each.on("error", end).on("close", end);
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get open() {
      return sockets.size;
    },
    get total() {
      return total;
    },
    cut,
    refuse: (is) => {
      isRefusing = is;
    },
    [Symbol.asyncDispose]: async () => {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
