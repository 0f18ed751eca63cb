/** Names of versions: they become names of folders and files, so nothing else may stand in them. */
export const VERSION = /^[0-9A-Za-z](?:[0-9A-Za-z-]|\.(?=[0-9A-Za-z])){0,39}$/
