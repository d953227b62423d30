/** What happens to whole chats: they are renamed or deleted, alone or with their character. */

const bare = (file) => String(file).replace(/\.jsonl$/, '');
/** What SillyTavern's server leaves out of a file's name. */
const NOT_IN_NAMES = /[/?<>\\:*|"\x00-\x1f\x80-\x9f]/g;

export class WholeChats {
    /** The chat that was last clicked in the list of the welcome screen, where no chat is open. */
    #clicked = null;
    /** Deleted while none was open: their character's deletion follows and says whose they were. */
    #unowned = [];

    /**
     * @param context () => SillyTavern's context
     * @param tell (find) => void; `async find()` gives the events, each with the `chatId` it is about
     */
    constructor(context, tell) {
        this.context = context;
        this.tell = tell;
    }

    /** CHAT_CHANGED: another chat is open, or none. */
    opened() {
        this.#clicked = null;
        this.#unowned = [];
    }

    clicked({ target }) {
        const { file, avatar } = target?.closest?.('.recentChat')?.dataset ?? {};
        this.#clicked = file ? { file, avatar } : this.#clicked;
    }

    /** CHAT_RENAMED tells the name that was typed. */
    renamed({ avatarId, groupId, oldFileName, newFileName }) {
        const now = bare(newFileName.replace(NOT_IN_NAMES, ''));
        const whose = groupId ? { is_group: true } : this.#whose(this.#of(avatarId));
        this.#tellAll([{ chatId: bare(oldFileName), type: 'chat_renamed', new_chat_id: now, ...whose }]);
    }

    /** CHAT_DELETED tells no character: it is the open chat's, or that of the list's chat, or is deleted as well. */
    deleted(name) {
        const { characters, characterId } = this.context();
        const listed = this.#clicked?.file === name && this.#of(this.#clicked.avatar);
        const character = listed || characters[characterId];
        if (character) {
            this.#tellAll([{ chatId: name, type: 'chat_deleted', ...this.#whose(character) }]);
        } else {
            this.#unowned.push(name);
        }
    }

    groupChatDeleted(name) {
        this.#tellAll([{ chatId: name, type: 'chat_deleted', is_group: true }]);
    }

    characterDeleted({ character }) {
        const gone = this.#unowned.splice(0);
        const whose = this.#whose(character);
        this.#tellAll(gone.map((chatId) => ({ chatId, type: 'chat_deleted', ...whose })));
    }

    /** CHARACTER_RENAMED: the files are moved already, SillyTavern's page still has the old name. */
    characterRenamed(oldAvatar, newAvatar) {
        const was = this.#whose(this.#of(oldAvatar) ?? { name: '', avatar: oldAvatar });
        this.tell(async () => {
            const [{ name }, chats] = await Promise.all([
                this.#ask('/api/characters/get', { avatar_url: newAvatar }),
                this.#ask('/api/characters/chats', { avatar_url: newAvatar, simple: true }),
            ]);
            const ids = Array.isArray(chats) ? chats.map((chat) => bare(chat.file_name)) : [];
            const now = { new_character: name, new_avatar: newAvatar };
            return ids.map((chatId) => ({ chatId, type: 'chat_renamed', ...was, ...now }));
        });
    }

    #of(avatar) {
        return this.context().characters.find((one) => one.avatar === avatar);
    }

    /** Whose a chat is; what is remembered from before avatars were told may be a namesake's. */
    #whose({ name, avatar } = { name: '', avatar: '' }) {
        const others = this.context().characters.filter((one) => one.name === name && one.avatar !== avatar);
        return { character: name, avatar, ...(others.length ? { has_namesakes: true } : {}) };
    }

    #tellAll(events) {
        this.tell(async () => events);
    }

    async #ask(path, body) {
        const headers = this.context().getRequestHeaders();
        const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
        return answer.json();
    }
}
