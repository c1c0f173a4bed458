import { createSocket } from "node:dgram";

/**
 * `serve PORT`: answers each datagram that holds a number with so many bytes. `ask FAMILY ADDRESS PORT BYTES TRIES`: asks for them until
 * they are there, prints how many came, 0 where none did.
 */
const TRY_EVERY_MS = 250;

const [mode, ...words] = process.argv.slice(2);
if (mode === "serve") serve(Number(words[0]));
else
  ask(
    Number(words[0]),
    words[1] ?? "",
    ...(words.slice(2).map(Number) as [number, number, number]),
  );

function serve(port: number): void {
  const socket = createSocket("udp6");
  // The kernel says so where a packet was larger than what it knows of the path by now. The next one is cut up.
  const sent = () => {};
  socket.on("message", (message, { address, port: from }) =>
    socket.send(Buffer.alloc(Number(message.toString()), 7), from, address, sent),
  );
  socket.bind(port, () => process.stdout.write("ready\n"));
}

function ask(family: number, address: string, port: number, bytes: number, tries: number): void {
  const socket = createSocket(family === 4 ? "udp4" : "udp6");
  const end = (received: number) => {
    clearInterval(timer);
    socket.close();
    process.stdout.write(`${received}\n`);
  };
  let left = tries;
  const request = () => {
    if (left-- > 0) socket.send(`${bytes}`, port, address);
    else end(0);
  };
  const timer = setInterval(request, TRY_EVERY_MS);
  socket.on("message", ({ length }) => end(length));
  request();
}
