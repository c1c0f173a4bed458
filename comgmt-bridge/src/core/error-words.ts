/**
 * Codes of applications and scripts in words: what happened, and what to do about it (documentation, "Application installation
 * common error codes reference"). A site tells them signed or unsigned; both are the same 32 bits.
 */
export interface ErrorWords {
  /** `0x87D00324`. */
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

const SEE_GUIDE =
  "follow the application's logs on the device: AppEnforce.log, AppDiscovery.log, CIAgent.log";

const WORDS: ReadonlyMap<number, readonly [message: string, remedy: string]> = new Map([
  [
    0x87d00202,
    [
      "the client's service is shutting down",
      "see that SMS Agent Host runs on the device; CcmExec.log says why it stops",
    ],
  ],
  [
    0x87d00207,
    [
      "something could not be parsed",
      `check that the application is whole at the site, then ${SEE_GUIDE}`,
    ],
  ],
  [
    0x87d00213,
    [
      "it took too long",
      "raise the application's maximum allowed run time, and see that a maintenance window is that long",
    ],
  ],
  [
    0x87d00215,
    [
      "an item was not found",
      "see that the deployment has reached the device as policy and that its content is on a distribution point",
    ],
  ],
  [0x87d00235, ["a syntax error was met while parsing", SEE_GUIDE]],
  [
    0x87d00244,
    [
      "a part of the client is not initialised",
      "restart SMS Agent Host on the device, then evaluate applications again",
    ],
  ],
  [
    0x87d0027c,
    [
      "the download of documents took too long",
      "see CIAgent.log, CIDownloader.log and DataTransferService.log on the device",
    ],
  ],
  [
    0x87d00289,
    [
      "documents could not be unpacked",
      "see CIAgent.log, CIDownloader.log and DataTransferService.log on the device",
    ],
  ],
  [
    0x87d00314,
    [
      "the client waits for a newer revision of the application",
      "refresh machine policy on the device and evaluate applications again",
    ],
  ],
  [
    0x87d00321,
    [
      "a script took too long",
      "raise the application's maximum allowed run time; AppEnforce.log on the device says what ran",
    ],
  ],
  [
    0x87d00324,
    [
      "the application was not detected after its installation",
      "correct the deployment type's detection method; see AppDiscovery.log on the device",
    ],
  ],
  [
    0x87d00325,
    [
      "the application was still detected after its removal",
      "correct the command that uninstalls, or the detection method; see AppEnforce.log and AppDiscovery.log on the device",
    ],
  ],
  [
    0x87d00327,
    [
      "a script is not signed",
      "sign it, or change the client setting for PowerShell's execution policy",
    ],
  ],
  [
    0x87d00329,
    [
      "requirements or detection could not be evaluated",
      "see AppIntentEval.log on the device for dependencies, supersedence and requirements",
    ],
  ],
  [
    0x87d00607,
    [
      "the content was not found",
      "distribute the content to a distribution point of the device's boundary group",
    ],
  ],
  [
    0x87d00667,
    [
      "no maintenance window is long enough",
      "make a window longer than the maximum allowed run time, or let the deployment ignore windows",
    ],
  ],
  [
    0x87d01106,
    [
      "the program or its command line is not valid",
      "try the command line on a device in the system's context, and correct the deployment type",
    ],
  ],
  [
    0x87d01107,
    [
      "none of the content's locations could be reached",
      "see LocationServices.log and ContentTransferManager.log on the device, and its boundary group",
    ],
  ],
  [
    0x87d01201,
    [
      "there is no room in the cache or on the disk",
      "free space on the device, or raise the size of the client's cache",
    ],
  ],
  [
    0x87d01202,
    [
      "the content is larger than the client's cache",
      "raise the size of the client's cache in the client settings",
    ],
  ],
  [
    0x87d01281,
    [
      "no supported App-V client is installed",
      "install a supported version of App-V on the device",
    ],
  ],
  [
    0x87d0128f,
    ["App-V's sftmime failed", "see the App-V log on the device for the command that failed"],
  ],
  [
    0x87d01290,
    [
      "App-V's WMI provider could not be asked",
      "restart the App-V client on the device or repair it",
    ],
  ],
  [0x87d103e8, ["an error without a description", SEE_GUIDE]],
  [0x87d1076c, ["the application was installed", "nothing"]],
  [
    0x80070005,
    [
      "access was denied",
      "see that the installation runs in the system's context and may write where it writes",
    ],
  ],
  [
    0x80070641,
    [
      "Windows Installer could not be reached",
      "see that the service Windows Installer may start on the device",
    ],
  ],
  [0x80070642, ["somebody on the device cancelled it", "try again, or install without a window"]],
  [
    0x80070643,
    ["Windows Installer failed", "log the installation with /l*v and look for 'return value 3'"],
  ],
  [0x80070652, ["another installation was running", "try again once it has ended"]],
  [0x80070bc2, ["it is installed once the device restarts", "restart the device"]],
]);

/** What Windows Installer and scripts end with, as a plain number. */
const EXIT_CODES: ReadonlyMap<number, number> = new Map([
  [1601, 0x80070641],
  [1602, 0x80070642],
  [1603, 0x80070643],
  [1618, 0x80070652],
  [3010, 0x80070bc2],
]);

/** The words of a code in any of its forms; of one that is not known its hexadecimal form and where to look. */
export function errorWords(code: number): ErrorWords {
  const bits = code >>> 0;
  const known = WORDS.get(EXIT_CODES.get(bits) ?? bits);
  const [message, remedy] = known ?? ["a code that the documentation does not explain", SEE_GUIDE];
  return { code: hexadecimal(bits), message, remedy };
}

/** One sentence for a person. */
export function errorSentence(code: number): string {
  const { code: hex, message, remedy } = errorWords(code);
  return `${hex}: ${message}; ${remedy}`;
}

function hexadecimal(bits: number): string {
  return `0x${bits.toString(16).toUpperCase().padStart(8, "0")}`;
}
