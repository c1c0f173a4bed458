import { Ber, type BerReader, BerWriter, Control } from "ldapts";

/** [MS-ADTS] section 3.1.1.3.4.1.3: what changed since a cookie, deleted objects among it. */
export class DirSyncControl extends Control {
  static readonly type = "1.2.840.113556.1.4.841";
  /** Of the values of linked attributes (`member`) only those that changed. */
  static readonly INCREMENTAL_VALUES = -0x8000_0000;
  /** Own limit: what a domain controller puts into one answer, in bytes. */
  static readonly MAX_ANSWER_BYTES = 1_048_576;

  readonly #asked: Buffer;
  /** Of the answer; undefined where the controller gave none. */
  answer: { readonly isMore: boolean; readonly cookie: Buffer } | undefined;

  constructor(cookie: Buffer) {
    super(DirSyncControl.type, { critical: true });
    this.#asked = cookie;
  }

  override writeControl(writer: BerWriter): void {
    const value = new BerWriter();
    value.startSequence();
    value.writeInt(DirSyncControl.INCREMENTAL_VALUES);
    value.writeInt(DirSyncControl.MAX_ANSWER_BYTES);
    value.writeBuffer(this.#asked, Ber.OctetString);
    value.endSequence();
    writer.writeBuffer(value.buffer, Ber.OctetString);
  }

  override parseControl(reader: BerReader): void {
    if (!reader.readSequence()) return;
    const isMore = (reader.readInt() ?? 0) !== 0;
    reader.readInt();
    this.answer = { isMore, cookie: reader.readString(Ber.OctetString, true) ?? Buffer.alloc(0) };
  }
}

/** [MS-ADTS] section 3.1.1.3.4.1.14: deleted objects are found, too. */
export class ShowDeletedControl extends Control {
  constructor() {
    super("1.2.840.113556.1.4.417", { critical: true });
  }
}

/**
 * [MS-ADTS] section 3.1.1.3.4.1.5: names come as `<GUID=...>;<SID=...>;CN=...`, so that an object is known by what stays when it is
 * renamed or moved.
 */
export class ExtendedDnControl extends Control {
  /** GUIDs in their text form. */
  static readonly TEXT = 1;

  constructor() {
    super("1.2.840.113556.1.4.529", { critical: true });
  }

  override writeControl(writer: BerWriter): void {
    const value = new BerWriter();
    value.startSequence();
    value.writeInt(ExtendedDnControl.TEXT);
    value.endSequence();
    writer.writeBuffer(value.buffer, Ber.OctetString);
  }
}
