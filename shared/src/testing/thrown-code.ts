import { codeOf } from "../errors.ts";

/** The code of the error that `act` throws; `nothing` if it returns. */
export function thrownCode(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return codeOf(error);
  }
  return "nothing";
}

/** The code of the error that `act` rejects with; `nothing` if it resolves. */
export async function rejectedCode(act: () => Promise<unknown>): Promise<string> {
  try {
    await act();
  } catch (error) {
    return codeOf(error);
  }
  return "nothing";
}
