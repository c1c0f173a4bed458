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
  [
    0x80070669,
    [
      "the installation restarts the device",
      "nothing; suppress its restart (/norestart) where the client is to ask for it",
    ],
  ],
  [
    0x80070002,
    ["a file was not found", "see that the content has the file that the command line names"],
  ],
  [
    0x80070003,
    ["a path was not found", "see that the content has the folder that the command line names"],
  ],
  [
    0x80070645,
    [
      "the product is not installed",
      "correct the product code in the command that uninstalls or repairs",
    ],
  ],
  [
    0x8007064c,
    [
      "Windows Installer does not find the product's source",
      "distribute the content, and keep it where the product was installed from",
    ],
  ],
  [
    0x80070653,
    [
      "the installation package could not be opened",
      "see that the content is whole and the command line names it",
    ],
  ],
  [
    0x80070654,
    [
      "the installation package is not valid",
      "try the package on a device by hand, and distribute the content again",
    ],
  ],
  [
    0x80070659,
    [
      "a policy forbids the installation",
      "look at the policies for Windows Installer and AppLocker",
    ],
  ],
  [
    0x80070661,
    [
      "the package is not for this platform",
      "add a requirement for the platform to the deployment type",
    ],
  ],
  [
    0x80070666,
    [
      "another version of the product is installed",
      "uninstall it first, or let the application supersede it",
    ],
  ],
]);

/** What Windows Installer and scripts end with, as a plain number. */
const EXIT_CODES: ReadonlyMap<number, number> = new Map([
  ...[1601, 1602, 1603, 1605, 1612, 1618, 1619, 1620, 1625, 1633, 1638, 1641, 3010].map(
    (code): [number, number] => [code, 0x8007_0000 + code],
  ),
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
