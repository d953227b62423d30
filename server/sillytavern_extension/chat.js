/** The open chat as SillyTavern would send it: what is hidden is not there. */

const USER_INPUT = 1;
const AI_OUTPUT = 2;
/** SillyTavern's `regex_placement`. */

/**
 * Role, name and content of every visible message, oldest first. Narrators' lines are sent as system
 * messages: they are nobody's words and left out.
 * @param context SillyTavern's context
 * @param prompt `regexed(text, placement, options)` and `withFiles(message, text)`, as a prompt is made
 */
export async function visibleChat(context, prompt) {
    const shown = context.chat.filter((message) => !message.is_system);
    const messages = await Promise.all(shown.map(async (message, index) => {
        const placement = message.is_user ? USER_INPUT : AI_OUTPUT;
        const options = { isPrompt: true, depth: shown.length - index - 1 };
        const text = await prompt.withFiles(message, prompt.regexed(String(message.mes ?? ''), placement, options));
        return {
            role: message.is_user ? 'user' : 'assistant',
            name: message.name ?? '',
            content: wellFormed(named([text, ...titles(message)].join('\n\n'), context)),
        };
    }));
    return messages.filter((_, index) => isSaid(shown[index], context));
}

/** Changes when the visible chat may have; cheap, for it is looked at all the time. */
export function signature(context) {
    const said = context.chat.map((m) => `${m.is_system ? '-' : ''}${m.mes?.length ?? 0}/${m.swipe_id ?? 0}`);
    return `${context.getCurrentChatId() ?? ''} ${said.join(' ')}`;
}

export function hiddenCount(context) {
    return context.chat.filter((message) => message.is_system).length;
}

/** Messages that a prompt of this type would show if all fitted in: a swipe's is made without the last one. */
export function visibleCount(context, type) {
    const visible = context.chat.filter((message) => !message.is_system && !isIgnored(message, context));
    return visible.length - (type === 'swipe' ? 1 : 0);
}

/** Whether an extension keeps a message out of prompts, where it stands in the chat or only in what one is made of. */
export function isIgnored(message, context) {
    const ignore = context.symbols?.ignore;
    return Boolean(ignore && message.extra?.[ignore]);
}

function isSaid(message, context) {
    return message.extra?.type !== 'narrator' && !isIgnored(message, context);
}

function titles(message) {
    const extra = message.extra ?? {};
    const media = Array.isArray(extra.media) ? extra.media : [];
    return [extra, ...media].filter((item) => item?.append_title && item?.title).map((item) => item.title);
}

/** The two macros that messages hold in practice; others might do something each time they are filled in. */
export function named(text, { name1, name2 }) {
    const names = { user: name1, char: name2 };
    return text.replace(/\{\{(user|char)\}\}/gi, (macro, which) => names[which.toLowerCase()] || macro);
}

/** Half a surrogate pair cannot be sent as UTF-8. */
function wellFormed(text) {
    return text.toWellFormed?.() ?? text;
}
