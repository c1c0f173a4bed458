import type { SeededRandom } from "./random.ts";
import type { Scene } from "./scene.ts";

/** Something that goes wrong, with all that is random about it drawn. */
export interface PlannedFault {
  readonly name: string;
  /** In JSON, for people and for comparison. */
  readonly detail: unknown;
  /** Over when it resolves; what it leaves behind the machines have to mend themselves. Resolves to how much it has touched. */
  strike(scene: Scene): Promise<number>;
}

export interface ChaosFault {
  readonly name: string;
  /** How often it is drawn beside the others. */
  readonly weight: number;
  /** Whether it is in every run that is long enough, once at least. */
  readonly isNamed: boolean;
  plan(random: SeededRandom): PlannedFault;
}

/** A fault whose random part is `Detail`. One that only tells the site what to do resolves to 0: the site counts its strikes itself, under its name. */
export function fault<Detail>(of: {
  readonly name: string;
  readonly weight: number;
  readonly isNamed?: true;
  draw(random: SeededRandom): Detail;
  strike(scene: Scene, detail: Detail, name: string): Promise<number>;
}): ChaosFault {
  const { name, weight, isNamed = false } = of;
  return {
    ...{ name, weight, isNamed },
    plan(random) {
      const detail = of.draw(random);
      return { name, detail, strike: (scene) => of.strike(scene, detail, name) };
    },
  };
}
