/** Asks before a verb that its device calls dangerous. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Question {
  /** What it is about: the device. */
  title: string;
  text: string;
  /** What the button says that does it. */
  yes: string;
}

export type Ask = (question: Question, then: () => void) => void;

let cancelledAt = -Infinity;

/** Whether a key that is pressed now belongs to a question: browsers close it before they tell of the key. */
export const isAsking = (): boolean =>
  document.querySelector("dialog[open]") !== null || performance.now() - cancelledAt < 300;

/** The dialog, and the function that opens it. */
export function useQuestion(): { ask: Ask; dialog: preact.JSX.Element | null } {
  const [open, setOpen] = useState<{ question: Question; then: () => void } | null>(null);
  const ask: Ask = (question, then) => setOpen({ question, then });
  return { ask, dialog: open && <Dialog {...open} close={() => setOpen((now) => (now === open ? null : now))} /> };
}

function Dialog(props: { question: Question; then: () => void; close: () => void }): preact.JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const cancel = useRef<HTMLButtonElement>(null);
  // Before the next key: an Enter or Escape that is quick belongs to the question already.
  useLayoutEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    // Enter pressed by mistake does nothing.
    cancel.current?.focus();
    return () => {
      // While it is open, nothing else can have the focus.
      dialog.current?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const { question, then, close } = props;
  return (
    <dialog
      ref={dialog}
      class="question"
      aria-labelledby="question-title"
      aria-describedby="question-text"
      onCancel={() => (cancelledAt = performance.now())}
      onClose={close}
    >
      <h2 id="question-title">{question.title}</h2>
      <p id="question-text">{question.text}</p>
      <div class="answers">
        <button type="button" ref={cancel} onClick={close}>
          Cancel
        </button>
        <button
          type="button"
          class="danger"
          onClick={(event) => {
            if (event.detail > 1) return;
            close();
            then();
          }}
        >
          {question.yes}
        </button>
      </div>
    </dialog>
  );
}
