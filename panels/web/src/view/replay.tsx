/** What says on every part of the page that it is a replay. */

import type { Replay } from "../replay";
import { useFollow, useShared } from "./paint";

export function ReplayMark({ replay }: { replay: Replay }): preact.JSX.Element {
  const { panel } = useShared();
  useFollow(panel, "bar");
  return (
    <>
      <div class="replay-frame" aria-hidden="true" />
      <p class="replay" role="note" data-replay={replay.time === null ? "" : new Date(replay.time).toISOString()}>
        <strong>REPLAY</strong> {words(replay)}
      </p>
    </>
  );
}

function words({ time, speed, ended, gap }: Replay): string {
  if (time === null) return "Waiting for the time of the record. Nothing here is live.";
  const shown = `of ${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const pace = ended ? "the record has ended" : speed === 1 ? "at its own speed" : `${speed} times as fast`;
  const missing = gap === null ? "" : ` Nothing was recorded at this time${gap ? ` (${gap})` : ""}.`;
  return `${shown}, ${pace}.${missing} Nothing here is live.`;
}
